"""Acceptance: who may deliver what."""

import hashlib
import json
import secrets
import time
from typing import Any


def test_a_signed_delivery_is_accepted_and_reaches_the_handler_as_it_was_sent(receiver: Any) -> None:
    bodies = [secrets.token_bytes(5000), b"", json.dumps({"amount": secrets.randbelow(10**9)}, indent=3).encode()]

    for body in bodies:
        delivery_id, kind = receiver.id(), f"text/x-{secrets.token_hex(4)}"
        response = receiver.post(delivery_id, body, headers={"content-type": kind})

        assert response.status == 202
        result = receiver.result(receiver.find(delivery_id)["id"])
        assert result["sha256"] == hashlib.sha256(body).hexdigest()
        assert result["content_type"] == kind
        assert result["idempotency_key"] == f"billing/{delivery_id}"
        assert result["calls"] == 1


def test_what_is_not_signed_is_refused_alike_and_not_stored(receiver: Any) -> None:
    body = b'{"forged": true}'
    right = receiver.call(receiver.id(), body)[2]["headers"]["webhook-signature"]
    signatures = ["", "v1,", right[:-4], right.removeprefix("v1,"), right.replace("v1,", "v2,"), right.swapcase(), "v1"]
    signatures.append("v1," + "A" * 43 + "=")
    ids = [receiver.id() for _ in signatures]
    answers = [
        receiver.post(each, body, headers={"webhook-signature": signature})
        for each, signature in zip(ids, signatures, strict=True)
    ]
    answers.append(receiver.app.post("/webhooks/billing", content=body))
    for name, wrong in (("webhook-id", ""), ("webhook-id", "a.b"), ("webhook-timestamp", "now")):
        answers.append(receiver.post(receiver.id(), body, headers={name: wrong}))
    dotted = f"{receiver.id()}.{int(time.time())}"
    answers.append(receiver.post(dotted, body))

    assert {(each.status, each.content) for each in answers} == {(401, answers[0].content)}
    assert answers[0].json()["code"] == "invalid-signature"
    assert not {each["delivery_id"] for each in receiver.listed(limit=100)} & {*ids, dotted}


def test_the_signature_covers_id_timestamp_and_body(receiver: Any) -> None:
    delivery_id, body, now = receiver.id(), b'{"amount": 1}', int(time.time())
    _, path, sent = receiver.call(delivery_id, body, timestamp=now)
    changed = [
        sent | {"content": b'{"amount": 9}'},
        sent | {"content": body + b" "},
        sent | {"content": b""},
        sent | {"headers": sent["headers"] | {"webhook-id": receiver.id()}},
        sent | {"headers": sent["headers"] | {"webhook-timestamp": str(now + 1)}},
        sent | {"headers": sent["headers"] | {"webhook-timestamp": str(now - 1)}},
    ]

    assert [receiver.app.post(path, **each).status for each in changed] == [401] * len(changed)
    assert receiver.app.post(path, **sent).status == 202


def test_each_source_has_its_own_secret_and_two_while_it_changes(start: Any, secret: Any) -> None:
    new, old, shop, other = (secret() for _ in range(4))
    receiver = start(secrets=json.dumps({"billing": [new, old], "shop": [shop]}))

    def status(source: str, with_secret: str) -> int:
        return receiver.post(receiver.id(), source=source, secret=with_secret).status

    assert [status("billing", each) for each in (new, old, shop, other)] == [202, 202, 401, 401]
    assert [status("shop", each) for each in (new, old, shop, other)] == [401, 401, 202, 401]
    delivery_id, now = receiver.id(), int(time.time())
    wrong, right = (
        receiver.call(delivery_id, b"{}", secret=each, timestamp=now)[2]["headers"]["webhook-signature"]
        for each in (other, old)
    )
    several = {"webhook-signature": f"v1a,AAAA {wrong} {right}"}
    assert receiver.post(delivery_id, timestamp=now, headers=several).status == 202


def test_a_timestamp_holds_for_the_tolerance_only(receiver: Any, start: Any) -> None:
    for each, tolerance in ((receiver, 300), (start(tolerance_seconds=3000), 3000)):
        before, now = len(each.listed(limit=100)), int(time.time())
        for seconds in (-tolerance - 60, tolerance + 60):
            refused = each.post(each.id(), timestamp=now + seconds)
            assert (refused.status, refused.json()["code"]) == (401, "stale-timestamp")
        for seconds in (-tolerance + 60, tolerance - 60):
            assert each.post(each.id(), timestamp=now + seconds).status == 202
        forged = each.post(each.id(), timestamp=0, headers={"webhook-signature": "v1,AAAA"})
        assert forged.json()["code"] == "invalid-signature"  # strangers learn nothing of the clock
        assert len(each.listed(limit=100)) == before + 2


def test_an_unknown_source_is_not_found(receiver: Any, fresh: Any) -> None:
    known = receiver.keys["billing"]
    for source in (fresh.word(), "Billing", "billing.", "_"):
        response = receiver.post(receiver.id(), source=source, secret=known)
        assert (response.status, response.json()["code"]) == (404, "unknown-source")


def test_a_body_beyond_the_limit_is_refused(start: Any) -> None:
    receiver = start(max_body_bytes=2000)
    largest, larger = receiver.id(), receiver.id()

    assert receiver.post(largest, secrets.token_bytes(2000)).status == 202
    refused = receiver.post(larger, secrets.token_bytes(2001))
    assert (refused.status, refused.json()["code"]) == (413, "body-too-large")
    assert [each["delivery_id"] for each in receiver.listed()] == [largest]
