"""What the tests share: a sender who signs as Standard Webhooks says, and an administrator."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Callable
from typing import Any

import pytest

# As `blueprint.toml` has them, for the candidate that a file of tests shares.
SHARED_SECRETS = {
    "billing": "whsec_Zm9yLWFjY2VwdGFuY2UtdGVzdHMtb25seS1iaWxsaW5n",
    "shop": "whsec_Zm9yLWFjY2VwdGFuY2UtdGVzdHMtb25seS1zaG9w",
}
SHARED_TOKEN = "for-acceptance-tests-only-and-nothing-else"
PATIENCE_SECONDS = 15


class Receiver:
    """A running candidate, as its senders and its administrator see it."""

    def __init__(self, app: Any, keys: dict[str, str], token: str) -> None:
        self.app = app
        self.keys = keys
        self.bearer = {"authorization": f"Bearer {token}"}

    def id(self) -> str:
        """An id that no delivery had before."""
        return f"msg_{secrets.token_hex(8)}"

    def call(self, delivery_id: str, body: bytes, **signed: Any) -> tuple[str, str, dict[str, Any]]:
        """A signed delivery as a call for `app.concurrently`; see `post`."""
        source = signed.get("source", "billing")
        stamp = str(signed.get("timestamp", int(time.time())))
        key = base64.b64decode(signed.get("secret", self.keys.get(source, "")).removeprefix("whsec_"))
        digest = hmac.digest(key, f"{delivery_id}.{stamp}.".encode() + body, hashlib.sha256)
        headers = {
            "content-type": "application/json",
            "webhook-id": delivery_id,
            "webhook-timestamp": stamp,
            "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
        }
        return "POST", f"/webhooks/{source}", {"content": body, "headers": headers | signed.get("headers", {})}

    def post(self, delivery_id: str, body: bytes = b"{}", **signed: Any) -> Any:
        """Deliver; `source`, `secret` and `timestamp` are what it is signed with and `headers` replace its own."""
        method, path, parts = self.call(delivery_id, body, **signed)
        return self.app.request(method, path, **parts)

    def wish(self, source: str = "billing", **wish: Any) -> dict[str, Any]:
        """Deliver what the handler shall do; the delivery as it is listed."""
        delivery_id = self.id()
        response = self.post(delivery_id, json.dumps(wish).encode(), source=source)
        assert response.status == 202, response
        return self.find(delivery_id)

    def admin(self, method: str, path: str, **params: Any) -> Any:
        return self.app.request(method, path, params=params, headers=self.bearer)

    def listed(self, path: str = "/deliveries", **query: Any) -> list[dict[str, Any]]:
        """Everything that a list has, from all pages."""
        found: list[dict[str, Any]] = []
        for _ in range(100):
            response = self.admin("GET", path, **query)
            assert response.status == 200, response
            found += response.json()["deliveries"]
            if response.json()["next"] is None:
                return found
            query = query | {"before": response.json()["next"]}
        raise AssertionError("the pages do not end")

    def find(self, delivery_id: str) -> dict[str, Any]:
        """The one delivery with this id of its sender."""
        [found] = [each for each in self.listed(limit=100) if each["delivery_id"] == delivery_id]
        return found

    def show(self, identity: int) -> dict[str, Any]:
        response = self.admin("GET", f"/deliveries/{identity}")
        assert response.status == 200, response
        return response.json()

    def until(self, identity: int, state: str) -> dict[str, Any]:
        """The delivery, once it has come to this state."""
        end = time.monotonic() + PATIENCE_SECONDS
        while (shown := self.show(identity))["state"] != state:
            assert time.monotonic() < end, f"still {shown['state']}, not {state}: {shown}"
            time.sleep(0.03)  # asking more often would slow the candidate down
        return shown

    def result(self, identity: int) -> dict[str, Any]:
        """What the handler reports, once it has done its work."""
        return json.loads(self.until(identity, "handled")["result"])

    def redeliver(self, shown: dict[str, Any]) -> Any:
        """Send a delivery once more, signed anew."""
        return self.post(shown["delivery_id"], base64.b64decode(shown["body"]), source=shown["source"])


def new_secret() -> str:
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


@pytest.fixture
def secret() -> Callable[[], str]:
    """Makes a secret that nobody has yet."""
    return new_secret


@pytest.fixture(scope="module")
def receiver(app: Any) -> Receiver:
    """The candidate that the tests of a file share."""
    return Receiver(app, SHARED_SECRETS, SHARED_TOKEN)


@pytest.fixture
def start(launch: Any) -> Callable[..., Receiver]:
    """Starts a candidate of its own, with secrets of its own; settings are given by their names without prefix."""

    def started(**settings: Any) -> Receiver:
        keys, token = {source: new_secret() for source in SHARED_SECRETS}, secrets.token_hex(32)
        own = {"SECRETS": json.dumps({source: [key] for source, key in keys.items()}), "ADMIN_TOKEN": token}
        env = own | {name.upper(): str(value) for name, value in settings.items()}
        return Receiver(launch(env={f"WEBHOOK_{name}": value for name, value in env.items()}), keys, token)

    return started
