"""OpenBao as compose.vault.yaml starts it: it fills itself, each service reads its own. The server is real."""

import contextlib
import subprocess
import time
from pathlib import Path

import httpx
import pytest
from make_secrets import make_missing
from pydantic import SecretStr
from worksite.common.processes import free_port
from worksite.common.secrets.vault import AppRole, Place, Vault
from worksite.common.settings import SettingsError
from worksite.common.subjects import SERVICES
from worksite.common.testing.vaults import BAO, bare

READY_SECONDS = 60


@pytest.fixture(scope="module")
def secrets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("compose") / "secrets"
    make_missing(folder)
    (folder / "anthropic_api_key").chmod(0o644)
    (folder / "anthropic_api_key").write_text('a key with "quotes" and ${braces}')
    make_missing(folder)
    return folder


@contextlib.contextmanager
def started(secrets: Path, state: Path):
    """With the addresses and the folders of a container replaced by some of this machine; its address."""
    port, raft = free_port(), free_port()
    text = (secrets / "openbao.hcl").read_text()
    for there, here in (
        ("0.0.0.0:8200", f"127.0.0.1:{port}"),
        ("127.0.0.1:8201", f"127.0.0.1:{raft}"),
        ("/openbao/file", str(state)),
        ("/run/secrets/unseal_key", str(secrets / "openbao" / "unseal_key")),
    ):
        assert there in text
        text = text.replace(there, here)
    file, log = state.with_name("openbao.hcl"), state.with_name("log")
    file.write_text(text)
    with log.open("wb") as output:
        process = subprocess.Popen([BAO, "server", f"-config={file}"], stdout=output, stderr=output, env=bare(state))
    try:
        deadline = time.monotonic() + READY_SECONDS
        while not _well(f"http://127.0.0.1:{port}"):
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < deadline, log.read_text()
            time.sleep(0.05)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait()


def _well(address: str) -> bool:
    with contextlib.suppress(httpx.HTTPError):
        return httpx.get(f"{address}/v1/sys/health", trust_env=False).status_code == 200
    return False


@pytest.fixture(scope="module")
def address(secrets, tmp_path_factory):
    """Started a second time on the same state: it unsealed itself, and did not begin anew."""
    state = tmp_path_factory.mktemp("openbao") / "state"
    state.mkdir()
    with started(secrets, state):
        pass
    with started(secrets, state) as address:
        yield address


def read(address: str, secrets: Path, service: str, path: str):
    secret_id = SecretStr((secrets / service / "vault_secret_id").read_text())
    return Vault(Place(address, "secret", path), AppRole(service, secret_id)).read()


@pytest.mark.parametrize("name", SERVICES)
def test_a_service_reads_what_it_would_have_as_files(address, secrets, name):
    held = read(address, secrets, name, f"worksite/{name}")
    assert held["nats_password"] == (secrets / name / "nats_password").read_text()
    if name == "gateway":
        assert held["issuer_key"] == (secrets / "gateway" / "issuer_key").read_text()
    if name in {"admin", "architect", "builder"}:
        assert held["anthropic_api_key"] == 'a key with "quotes" and ${braces}'


def test_a_service_reads_no_others(address, secrets):
    with pytest.raises(SettingsError, match="Forbidden"):
        read(address, secrets, "rag", "worksite/gateway")


def test_the_operator_may_change_them(address, secrets):
    with httpx.Client(base_url=f"{address}/v1/", trust_env=False) as http:
        secret_id = (secrets / "operator" / "vault_secret_id").read_text()
        signed_in = http.post("auth/approle/login", json={"role_id": "operator", "secret_id": secret_id})
        http.headers["X-Vault-Token"] = signed_in.json()["auth"]["client_token"]
        http.post("secret/data/worksite/rag", json={"data": {"nats_password": "new"}}).raise_for_status()
        assert http.get("sys/policies/acl/rag").status_code == 403
    assert read(address, secrets, "rag", "worksite/rag") == {"nats_password": "new"}
