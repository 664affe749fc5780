"""Print the Secrets that a new installation needs, with values made now: `… new_secrets.py | kubectl create -f -`.

`create`, never `apply`: what is there already is left alone, so that a second run cannot lock anybody out.
"""

from __future__ import annotations

import json
import secrets
import string

from worksite.cli.stack import nats_config, state
from worksite.common.subjects import SERVICES

NAMESPACE = "worksite"
ROUTE = "route"
"""The user as which NATS servers of one cluster know each other."""


def documents() -> list[dict[str, object]]:
    """Passwords of the bus; the gateway's signing key and first client; that client's secret, for its owner."""
    client_secret = secrets.token_urlsafe(32)
    return [
        _secret(
            "worksite-nats", {user: _password() for user in (*SERVICES, state.PROVISIONER, nats_config.MONITOR, ROUTE)}
        ),
        _secret(
            "worksite-gateway", {"issuer-key": state.signing_key(), "issuer-clients": state.clients(client_secret)}
        ),
        _secret("worksite-client", {"client-id": state.CLIENT_ID, "client-secret": client_secret}),
    ]


def _password() -> str:
    """Letters alone: nats-server reads it as a value of its configuration, where digits in front make a number."""
    return "".join(secrets.choice(string.ascii_letters) for _ in range(43))


def _secret(name: str, values: dict[str, str]) -> dict[str, object]:
    metadata = {"name": name, "namespace": NAMESPACE, "labels": {"app.kubernetes.io/part-of": "worksite"}}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": values}


if __name__ == "__main__":
    print(json.dumps({"apiVersion": "v1", "kind": "List", "items": documents()}, indent=2))
