"""The Vault component's agent and a real OpenBao, which asks a stand-in for the cluster who it is that signs in."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from kustomized import K8S, app, built, config, pod, workloads
from worksite.common.testing.vaults import (
    AUDIENCE,
    BAO,
    READY_SECONDS,
    bare,
    cluster,
    ok,
    token_of,
    trust_cluster,
    vault,
)


def set_up(client: httpx.Client, cluster_url: str) -> None:
    """As README.md says, with the policy that lies beside it."""
    trust_cluster(client, cluster_url)
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
