"""No secret is written into the repository: what detect-secrets finds is accepted with a reason, value by value."""

import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from secret_scan import findings

ROOT = Path(__file__).parents[2]
ACCEPTED = Path(__file__).with_name("accepted.toml")
WEIGHTS = (".onnx", ".safetensors", "tokenizer.json")
"""Of models: megabytes of numbers and words."""


def tracked() -> list[str]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listed.split("\0") if name and not name.endswith(WEIGHTS)]
    return [name for name in names if (ROOT / name).is_file()]


@pytest.mark.timeout(600)
def test_the_repository_holds_no_secret(tmp_path):
    groups = tomllib.loads(ACCEPTED.read_text())["group"]
    assert all(group["reason"] for group in groups)
    accepted = {finding for group in groups for finding in group["findings"]}
    names = {str(found): str(replace(found, path="*")) for found in findings(ROOT, tracked(), tmp_path)}
    unknown = sorted(here for here, anywhere in names.items() if not {here, anywhere} & accepted)
    assert not unknown, "take these out, or say in accepted.toml why they are no secrets:\n" + "\n".join(unknown)
    gone = sorted(accepted - {*names, *names.values()})
    assert not gone, "accepted.toml names what is not there any more:\n" + "\n".join(gone)


AWS = "AKIA" + "QZ7XK4MPLW2VNB3T"
PASSWORD = "Tr0ub4dor" + "-and-3"
PRIVATE_KEY = "-----BEGIN EC" + " PRIVATE KEY-----"
PLANTED = {
    "client.py": (f'aws = "{AWS}"  # pragma: allowlist secret\n', "AWS Access Key"),
    "settings.py": (f'password = "{PASSWORD}"\n', "Secret Keyword"),
    "README.md": (f"    export NATS_PASSWORD='{PASSWORD}'\n", "Secret Keyword"),
    "secret.yaml": (f"stringData:\n  password: {PASSWORD}\n", "Secret Keyword"),
    ".env.example": (f"ANTHROPIC_API_KEY={PASSWORD}\n", "Secret Keyword"),
    "nats.conf": (f"users = [{{user: rag, password: {PASSWORD}}}]\n", "Secret Keyword"),
    "key.pem": (f"{PRIVATE_KEY}\nMHcCAQEE\n", "Private Key"),
}


@pytest.mark.parametrize("name", PLANTED)
def test_a_planted_secret_is_found(name, tmp_path):
    (tmp_path / "scratch").mkdir()
    text, kind = PLANTED[name]
    for path in (name, "harmless.py"):
        (tmp_path / path).write_text("import os\n" + text * (path == name))
    found = findings(tmp_path, [name, "harmless.py"], tmp_path / "scratch")
    assert (name, kind) in {(finding.path, finding.kind) for finding in found}
    assert "harmless.py" not in {finding.path for finding in found}
