"""`worksite provision`, as Compose and Kubernetes run it."""

import pytest
from typer.testing import CliRunner
from worksite.cli.main import app
from worksite.cli.stack import nats_config
from worksite.common.subjects import SERVICES
from worksite.common.testing.nats import start_nats


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
