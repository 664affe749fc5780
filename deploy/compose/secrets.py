"""Makes whatever secret is still missing in a folder: `python deploy/compose/secrets.py FOLDER`. Nothing is replaced.

Compose mounts secrets as the files they are, so they are readable by all users; the folder is its owner's alone.
"""

from __future__ import annotations

import secrets
import sys
from pathlib import Path

from worksite.cli.stack import nats_config
from worksite.cli.stack.state import PROVISIONER, clients, signing_key, write_private
from worksite.common.subjects import SERVICES

STORE_BYTES = 10 << 30
_OPTIONAL = ("anthropic_api_key", "git_credentials")
"""Empty until somebody writes them: then there is no model, and no private repository."""


def make_missing(folder: Path) -> None:
    """Idempotent, so that what runs with these secrets goes on running."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = (*SERVICES, PROVISIONER)
    passwords = {user: _kept(folder / user / "nats_password", secrets.token_urlsafe(32)) for user in users}
    client = _kept(folder / "cli" / "client_secret", secrets.token_urlsafe(32))
    _kept(folder / "gateway" / "issuer_key", signing_key())
    _kept(folder / "gateway" / "issuer_clients", clients(client))
    for name in _OPTIONAL:
        _kept(folder / name, "")
    _kept(folder / "nats.conf", _nats_conf(passwords))


def _kept(path: Path, value: str) -> str:
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        write_private(path, value)
    path.chmod(0o444)
    return path.read_text()


def _nats_conf(passwords: dict[str, str]) -> str:
    return nats_config.render(
        host="0.0.0.0",  # noqa: S104 — inside a container, on internal networks
        port=4222,
        monitor="0.0.0.0:8222",
        store=Path("/data"),
        max_store_bytes=STORE_BYTES,
        users=nats_config.authorization(passwords, PROVISIONER),
    )


if __name__ == "__main__":
    make_missing(Path(sys.argv[1]))
