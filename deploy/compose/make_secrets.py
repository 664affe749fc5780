"""Makes whatever secret is still missing in a folder: `python deploy/compose/make_secrets.py FOLDER`.

No secret is ever replaced. The configurations of NATS and OpenBao, which follow from them and from the code, are
written anew.

Compose mounts secrets as the files they are, so they are readable by all users; the folder is its owner's alone.
"""

from __future__ import annotations

import secrets
import sys
from base64 import b64encode
from pathlib import Path

import openbao
from worksite.cli.stack import nats_config
from worksite.cli.stack.state import PROVISIONER, clients, signing_key, write_private
from worksite.common.subjects import SERVICES

_STORE = "$NATS_MAX_STORE"
"""nats-server takes it from its environment."""
_OPTIONAL = ("anthropic_api_key", "git_credentials", "model_prices.json")
"""Empty until somebody writes them: then there is no model, no private repository, no model of one's own."""
_READABLE = 0o644
"""Whatever the umask: a container's user is not who made the file, and the folder is shut to all others."""
_OF_THEIR_OWN = {"gateway": ("issuer_key", "issuer_clients")}
_COMMON = {
    "admin": ("anthropic_api_key",),
    "architect": ("anthropic_api_key",),
    "builder": ("anthropic_api_key", "git_credentials"),
}


def make_missing(folder: Path) -> None:
    """Idempotent, so that what runs with these secrets goes on running."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    users = (*SERVICES, PROVISIONER, nats_config.MONITOR)
    passwords = {user: _kept(folder / user / "nats_password", secrets.token_urlsafe(32)) for user in users}
    client = _kept(folder / "cli" / "client_secret", secrets.token_urlsafe(32))
    _kept(folder / "grafana_password", secrets.token_urlsafe(32))
    _kept(folder / "gateway" / "issuer_key", signing_key())
    _kept(folder / "gateway" / "issuer_clients", clients(client))
    for name in (*_OPTIONAL, "none"):
        _kept(folder / name, "")
    _written(folder / "nats.conf", _nats_conf(passwords))
    _kept(folder / "openbao" / "unseal_key", b64encode(secrets.token_bytes(32)).decode())
    secret_ids = {
        name: _kept(folder / name / "vault_secret_id", secrets.token_urlsafe(32))
        for name in (*SERVICES, openbao.OPERATOR)
    }
    _written(folder / "openbao.hcl", openbao.config({name: _held(folder, name) for name in SERVICES}, secret_ids))


def _kept(path: Path, value: str) -> str:
    path.parent.mkdir(exist_ok=True)
    if not path.exists():
        write_private(path, value)
    path.chmod(_READABLE)
    return path.read_text()


def _written(path: Path, text: str) -> None:
    """In place: a container that has the file goes on seeing it."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)
    path.chmod(_READABLE)


def _held(folder: Path, service: str) -> dict[str, str]:
    """What a service reads of Vault: the same as of its files."""
    own = [folder / service / name for name in ("nats_password", *_OF_THEIR_OWN.get(service, ()))]
    common = [folder / name for name in _COMMON.get(service, ())]
    return {path.name: path.read_text() for path in (*own, *common)}


def _nats_conf(passwords: dict[str, str]) -> str:
    """Monitoring is for the container's own health check: on the bus's network all services would see it."""
    text = nats_config.render(
        host="0.0.0.0",  # noqa: S104 — inside a container, on internal networks
        port=4222,
        monitor="127.0.0.1:8222",
        store=Path("/var/tmp"),  # noqa: S108 — a volume of its own
        max_store_bytes=_STORE,
        users=nats_config.authorization(passwords, PROVISIONER),
    )
    return text.replace(f'"{_STORE}"', _STORE)  # in quotes it would be a text


if __name__ == "__main__":
    make_missing(Path(sys.argv[1]))
