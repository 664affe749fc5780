"""nats-server's configuration, with one user per service and the permissions of the subject table."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from worksite.common.subjects import PERMISSIONS

MONITOR = "monitor"
_OF_SERVERS = ("VARZ", "STATSZ", "IDZ", "HEALTHZ", "CONNZ", "SUBSZ", "ROUTEZ", "ACCOUNTZ", "JSZ", "RAFTZ")
_OF_ACCOUNTS = ("INFO", "CONNZ", "SUBSZ", "JSZ", "CONNS")
_READINGS = (
    "$SYS.REQ.SERVER.PING",
    *(f"$SYS.REQ.SERVER.*.{reading}" for reading in _OF_SERVERS),  # of one server by its id, or with PING of all
    *(f"$SYS.REQ.ACCOUNT.*.{reading}" for reading in _OF_ACCOUNTS),
)
"""What the system account tells. Its other requests reload servers, drop connections, write profiles."""


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
    """The users: every service with what the subject table grants it, one that may do all, and where there is a
    password for it, the one that watches the server and has no part in what services say to each other."""
    users: list[dict[str, object]] = [{"user": provisioner, "password": passwords[provisioner]}]
    for service, granted in PERMISSIONS.items():
        permissions = {
            "publish": {"allow": list(granted.publish)},
            "subscribe": {"allow": list(granted.subscribe)},
            # Answers to requests it received go to inboxes it may not name.
            "allow_responses": {"max": 1, "expires": "1m"},
        }
        users.append({"user": service, "password": passwords[service], "permissions": permissions})
    return f"authorization: {json.dumps({'users': users}, indent=2)}\n" + _system_account(passwords)


def _system_account(passwords: Mapping[str, str]) -> str:
    """An account beside that of the services, whose users stay in the one that nats-server has without any: streams
    belong to an account, and in another one those that are there would be gone."""
    if MONITOR not in passwords:
        return ""
    permissions = {
        "publish": {"allow": list(_READINGS)},
        "subscribe": {"allow": ["_INBOX.>", "$SYS.ACCOUNT.>", "$SYS.SERVER.>"]},
    }
    users = [{"user": MONITOR, "password": passwords[MONITOR], "permissions": permissions}]
    return f"accounts: {json.dumps({'$SYS': {'users': users}}, indent=2)}\n"
