"""`worksite provision`, as Compose and Kubernetes run it."""

from pathlib import Path

import pytest
from typer.testing import CliRunner
from worksite.cli.main import app
from worksite.cli.stack import nats_config
from worksite.common.processes import free_port
from worksite.common.subjects import SERVICES
from worksite.common.testing.nats import start_nats
from worksite.common.testing.vaults import address, app_role, store, vault


@pytest.fixture
def server(tmp_path):
    passwords = {user: f"password-of-{user}" for user in (*SERVICES, "provision")}
    with start_nats(tmp_path, nats_config.authorization(passwords, "provision")) as running:
        yield running


def provision(server, **environ):
    given = {"NATS_URL": server.url, "NATS_USER": "provision", "NATS_PASSWORD": "", **environ}
    return CliRunner().invoke(app, ["provision", "--disk-gib", "1"], env=given)


def test_provision_takes_its_password_from_a_file_of_secrets(server, tmp_path):
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "nats_password").write_text("password-of-provision\n")
    ran = provision(server, SECRETS_DIR=str(secrets))
    assert (ran.exit_code, ran.output) == (0, "provisioned\n")


def test_provision_says_that_the_folder_of_secrets_is_not_there(server, tmp_path):
    ran = provision(server, SECRETS_DIR=str(tmp_path / "nope"))
    assert ran.exit_code == 2
    assert "SECRETS_DIR" in ran.output


def in_vault(url: str, role_id: str, secret_id: str) -> dict[str, str]:
    return {"SECRETS_SOURCE": "vault", "VAULT_ADDR": url, "VAULT_ROLE": role_id, "VAULT_SECRET_ID": secret_id}


def test_provision_takes_its_password_from_vault(server, tmp_path: Path):
    (tmp_path / "bao").mkdir()
    with vault(tmp_path / "bao") as bao:
        store(bao, "worksite/provision", nats_password="password-of-provision")
        ran = provision(server, **in_vault(address(bao), *app_role(bao, "worksite/provision")))
    assert (ran.exit_code, ran.output) == (0, "provisioned\n")


def test_provision_says_in_one_line_that_vault_is_away(server):
    ran = provision(server, **in_vault(f"http://127.0.0.1:{free_port()}", "role", "secret"))
    assert ran.exit_code == 1
    assert ran.output.startswith("worksite: Vault at http://127.0.0.1")
    assert ran.output.count("\n") == 1
