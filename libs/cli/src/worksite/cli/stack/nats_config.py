"""nats-server's configuration, with one user per service and the permissions of the subject table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from worksite.common.subjects import PERMISSIONS


def render(*, host: str, port: int, monitor: str, store: Path, max_store_bytes: int | str, users: str) -> str:
    """The whole file. JSON is valid in NATS's configuration language, so json.dumps quotes every value.

    `max_store_bytes`: a number, or the name of a variable, whose quotes the caller takes off.
    """
    jetstream = {
        "store_dir": str(store),
        "max_file_store": max_store_bytes,
        # An ack then means that the data is on disk (ADR 0001); the default is to sync every two minutes.
        "sync_interval": "always",
    }
    sections = {
        "server_name": "worksite",
        "host": host,
        "port": port,
        "http": monitor,
        "jetstream": jetstream,
    }
    return "".join(f"{name}: {json.dumps(value, indent=2)}\n" for name, value in sections.items()) + users


def authorization(passwords: Mapping[str, str], provisioner: str) -> str:
    """The users section: every service with what the subject table grants it, and one user that may do all."""
    users: list[dict[str, object]] = [{"user": provisioner, "password": passwords[provisioner]}]
    for service, granted in PERMISSIONS.items():
        permissions = {
            "publish": {"allow": list(granted.publish)},
            "subscribe": {"allow": list(granted.subscribe)},
            # Answers to requests it received go to inboxes it may not name.
            "allow_responses": {"max": 1, "expires": "1m"},
        }
        users.append({"user": service, "password": passwords[service], "permissions": permissions})
    return f"authorization: {json.dumps({'users': users}, indent=2)}\n"
