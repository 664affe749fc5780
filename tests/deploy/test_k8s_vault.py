"""The Vault component's agent and a real OpenBao, which asks a stand-in for the cluster who it is that signs in."""

import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
from kustomized import K8S, app, built, config, pod, workloads
from worksite.common.subjects import SERVICES
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

ASKED_ON = 5
"""Times: more than one round of tries (`num_retries` of agent.hcl)."""


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


@dataclass
class Agent:
    """The container beside a service, in a pod that is some account."""

    process: subprocess.Popen[bytes]
    folder: Path
    log: Path

    def files(self) -> dict[str, str]:
        return {path.name: path.read_text() for path in self.folder.iterdir() if path.name[0] != "."}

    def until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + READY_SECONDS
        while not condition():
            assert self.process.poll() is None, self.log.read_text()[-2000:]
            assert time.monotonic() < deadline, self.log.read_text()[-2000:]
            time.sleep(0.02)


@contextmanager
def running_agent(client: httpx.Client, folder: Path, account: str, service: str) -> Iterator[Agent]:
    """By the command and the configuration of the manifest; it looks for changes sooner than there."""
    (folder / "token").write_text(token_of(account))
    (folder / "secrets").mkdir(exist_ok=True)
    text = config(built("prod-vault"), "vault-agent")["agent.hcl"]
    for container, here in (
        ("/var/run/secrets/vault/token", folder / "token"),
        ("/run/secrets/worksite", folder / "secrets"),
        ('static_secret_render_interval = "1m"', 'static_secret_render_interval = "200ms"'),
    ):
        assert container in text
        text = text.replace(container, str(here))
    (folder / "agent.hcl").write_text(text)
    address = str(client.base_url).removesuffix("/v1/")
    assert sidecar(service)["command"] == ["bao", "agent", "-config=/etc/vault-agent/agent.hcl"]
    command = [BAO, "agent", f"-config={folder / 'agent.hcl'}"]
    env = bare(folder) | {"VAULT_ADDR": address, "SERVICE": service}
    with (folder / "log").open("wb") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as process:
        try:
            yield Agent(process, folder / "secrets", folder / "log")
        finally:
            process.terminate()


def sidecar(service: str) -> dict[str, Any]:
    (found,) = pod(workloads(built("prod-vault"))[service])["initContainers"]
    return found


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
    """For the pod's user alone, who may also write: the agent opens a file anew to change it, and is not root there."""
    with running_agent(ready_vault, tmp_path, "gateway", "gateway") as agent:
        agent.until((agent.folder / ".complete").exists)
        assert agent.files() == {"nats_password": "pw", "issuer_key": '{"a": 1}\n'}
        assert {path.stat().st_mode & 0o777 for path in agent.folder.iterdir()} == {0o600}
    assert "rags" not in agent.log.read_text()


def test_a_secret_that_changes_in_vault_changes_under_the_service(ready_vault, tmp_path):
    with running_agent(ready_vault, tmp_path, "rag", "rag") as agent:
        agent.until((agent.folder / ".complete").exists)
        assert agent.files() == {"nats_password": "rags"}
        ok(ready_vault.post("secret/data/worksite/rag", json={"data": {"nats_password": "rags-second"}}))
        agent.until(lambda: agent.files() == {"nats_password": "rags-second"})


def test_the_agent_runs_beside_the_service_which_waits_for_its_first_secrets():
    for service in SERVICES:
        assert sidecar(service)["restartPolicy"] == "Always"
        (mount,) = [each for each in sidecar(service)["volumeMounts"] if each["name"] == "secrets"]
        wanted = ["test", "-f", f"{mount['mountPath']}/.complete"]
        assert sidecar(service)["startupProbe"]["exec"]["command"] == wanted


@pytest.mark.parametrize(("account", "service"), [("gateway", "rag"), ("provision", "gateway")])
def test_another_account_is_refused_and_the_service_does_not_start(ready_vault, tmp_path, account, service):
    """The agent asks on, as in an outage: when it ends, the pod is not ready."""
    with running_agent(ready_vault, tmp_path, account, service) as agent:
        agent.until(lambda: agent.log.read_text().count("Code: 403") >= ASKED_ON)
    assert list(agent.folder.iterdir()) == []


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
