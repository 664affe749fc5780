"""Where the embedded profile keeps things, and the secrets it makes for itself on first start."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from joserfc.jwk import OKPKey
from worksite.cli.stack import layout, nats_config
from worksite.cli.stack.errors import StateInUse, StateUnusable, explained
from worksite.common.subjects import SERVICES

PROVISIONER = "provision"
CLIENT_ID = "worksite-cli"
DISK_SHARE = 0.75


@dataclass(frozen=True)
class State:
    """The state directory (`.worksite` by default). Everything that must survive a restart is below it."""

    root: Path

    @property
    def nats(self) -> Path:
        return self.root / "nats"

    @property
    def log(self) -> Path:
        return self.root / "worksite.log"

    @property
    def wheelhouse(self) -> Path:
        return self.root / "wheelhouse"

    @property
    def description(self) -> Path:
        """What is running, for clients on this machine: addresses, no secrets."""
        return self.root / "stack.json"

    def secrets(self, owner: str) -> Path:
        """One directory per owner; nobody else is given its path."""
        return self.root / "secrets" / owner

    def secret(self, owner: str, name: str) -> str:
        """Raises FileNotFoundError."""
        return (self.secrets(owner) / name).read_text()

    def of(self, service: str) -> Path:
        """The private directory of one service."""
        return self.root / service

    def scratch(self, service: str) -> Path:
        """Where it keeps temporary files."""
        return self.of(service) / "tmp"

    def lock(self) -> int:
        """Held for the life of a stack, by its programs too. Raises StateInUse, StateUnusable."""
        with explained(self.root):
            if reason := layout.problem(self.root):
                raise StateUnusable(reason)
            self.root.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                os.close(descriptor)
                raise StateInUse(self._occupation()) from None
        return descriptor

    def in_use(self) -> bool:
        """Does a stack run on it now? A description that a killed stack left behind says nothing. Raises
        StateUnusable."""
        try:
            os.close(self.lock())
        except StateInUse:
            return not self.orphaned()
        return False

    def orphaned(self) -> bool:
        """Was the stack killed whose programs may still hold the lock? They end by themselves."""
        pid = self.described().get("pid")
        return isinstance(pid, int) and not Path(f"/proc/{pid}").exists()

    def described(self) -> dict[str, Any]:
        """What the running stack says of itself; empty while there is none."""
        try:
            return dict(json.loads(self.description.read_text()))
        except (OSError, ValueError, TypeError):
            return {}

    def disk_bytes(self) -> int:
        """What JetStream may use: a share of what was free at the first start, and the same ever after.

        Streams reserve their part of it; a limit that followed the free space would one day be below the reservations.
        """
        kept = self.nats / "disk_bytes"
        if not kept.exists():
            write_private(kept, str(int(shutil.disk_usage(self.root).free * DISK_SHARE)))
        try:
            return int(kept.read_text())
        except ValueError:
            raise StateUnusable(f"{kept} holds no number: remove it, and a new limit is chosen") from None

    def _occupation(self) -> str:
        described = self.described()
        if not {"pid", "gateway_url"} <= described.keys():
            return f"a stack is already running on {self.root}, or about to start or to stop"
        pid, url = described["pid"], described["gateway_url"]
        return f"a stack is already running on {self.root}: {url}, process {pid}; use it, or stop it (kill {pid})"

    def prepare(self) -> None:
        """Make directories and whatever secret is still missing."""
        for directory in (self.root, self.nats, self.wheelhouse, *map(self.of, SERVICES)):
            directory.mkdir(parents=True, exist_ok=True)
        write_private(self.root / layout.FORMAT_FILE, f"{layout.FORMAT}\n")
        for user in (*SERVICES, PROVISIONER, nats_config.MONITOR):
            self._ensure(user, "nats_password", secrets.token_urlsafe(32))
        self._ensure("cli", "client_secret", secrets.token_urlsafe(32))
        self._ensure("gateway", "issuer_key", signing_key())
        self._ensure("gateway", "issuer_clients", clients(self.secret("cli", "client_secret")))

    def _ensure(self, owner: str, name: str, value: str) -> None:
        directory = self.secrets(owner)
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / name
        if not path.exists():
            write_private(path, value)


def write_private(path: Path, text: str) -> None:
    """All of it or nothing, whenever we are killed or the disk is full; only the owner may read it."""
    draft = path.with_name(f".{path.name}.new")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def signing_key() -> str:
    """A private Ed25519 JWK for the gateway's own issuer."""
    key = OKPKey.generate_key("Ed25519", private=True)
    document = key.as_dict(private=True) | {"kid": key.thumbprint(), "alg": "EdDSA", "use": "sig"}
    return json.dumps(document)


def clients(secret: str) -> str:
    """The one client that an issuer of ours begins with: whoever has its secret may do everything, for every tenant."""
    digest = hashlib.sha256(secret.encode()).hexdigest()
    roles = ["viewer", "developer", "approver", "operator"]
    return json.dumps([{"client_id": CLIENT_ID, "secret_sha256": digest, "tenants": "*", "roles": roles}])
