"""Acceptance: what an administrator sees and does."""

import base64
import json
from typing import Any

ENDPOINTS = [
    ("GET", "/deliveries"),
    ("GET", "/deliveries/{}"),
    ("GET", "/dead-letters"),
    ("POST", "/dead-letters/redrive"),
    ("POST", "/dead-letters/{}/redrive"),
    ("DELETE", "/dead-letters"),
    ("DELETE", "/dead-letters/{}"),
]


def _dead(receiver: Any, **wish: Any) -> dict[str, Any]:
    return receiver.until(receiver.wish(**({"fail": 3} | wish))["id"], "dead")


def _without_token(receiver: Any) -> list[dict[str, str]]:
    right = receiver.bearer["authorization"]
    token = right.removeprefix("Bearer ")
    wrong = ["Bearer", "Bearer ", right[:-1], right + "x", right.upper(), token, f"Basic {token}", f"Bearer x{token}"]
    return [{}, *({"authorization": each} for each in wrong)]


def test_administration_needs_the_token(receiver: Any) -> None:
    dead = _dead(receiver)

    for method, path in ENDPOINTS:
        for headers in _without_token(receiver):
            refused = receiver.app.request(method, path.format(dead["id"]), headers=headers)
            assert (refused.status, refused.json()["code"]) == (401, "invalid-token"), (method, path, headers)
            assert refused.headers["www-authenticate"] == "Bearer"
    assert receiver.show(dead["id"]) == dead


def test_deliveries_are_listed_in_pages_by_state_and_by_source(start: Any) -> None:
    receiver = start()
    sources = ["billing", "shop", "billing", "shop", "billing"]
    made = [receiver.wish(source=source, reject=int(number > 2)) for number, source in enumerate(sources)]
    ends = ["handled"] * 3 + ["dead"] * 2
    ids = [receiver.until(each["id"], end)["id"] for each, end in zip(made, ends, strict=True)]

    def listed(path: str = "/deliveries", **query: Any) -> list[int]:
        return [each["id"] for each in receiver.listed(path, **query)]

    assert listed() == listed(limit=2) == listed(limit=1) == listed(limit=5) == ids[::-1]
    assert len(receiver.admin("GET", "/deliveries", limit=2).json()["deliveries"]) == 2
    assert listed(state="handled") == ids[2::-1]
    assert listed(state="pending") == []
    assert listed(source="shop") == [ids[3], ids[1]]
    assert listed("/dead-letters") == listed("/dead-letters", limit=1) == listed(state="dead") == [ids[4], ids[3]]
    assert listed("/dead-letters", source="shop") == listed(source="shop", state="dead") == [ids[3]]
    for wrong in ({"limit": 0}, {"limit": 101}, {"before": "x"}, {"state": "lost"}):
        assert receiver.admin("GET", "/deliveries", **wrong).status == 422


def test_a_delivery_is_shown_with_body_attempts_and_errors(receiver: Any, fresh: Any) -> None:
    body = json.dumps({"fail": 3, "note": fresh.word()}).encode()
    delivery_id = receiver.id()
    assert receiver.post(delivery_id, body, source="shop", headers={"content-type": "text/x-note"}).status == 202

    shown = receiver.until(receiver.find(delivery_id)["id"], "dead")

    assert base64.b64decode(shown["body"]) == body
    assert (shown["source"], shown["delivery_id"]) == ("shop", delivery_id)
    assert shown["content_type"] == "text/x-note"
    for number, attempt in enumerate(shown["attempts"], 1):
        assert attempt["number"] == number
        assert f"failed at attempt {number}" in attempt["error"]
        assert attempt["started_at"] <= attempt["finished_at"]
    assert shown["error"] == shown["attempts"][-1]["error"]
    [summary] = [each for each in receiver.listed("/dead-letters") if each["id"] == shown["id"]]
    assert summary == {name: shown[name] for name in summary}


def test_a_redriven_dead_letter_has_all_its_attempts_again(receiver: Any) -> None:
    saved, lost = _dead(receiver, fail=5), _dead(receiver, fail=99)

    for each in (saved, lost):
        assert receiver.admin("POST", f"/dead-letters/{each['id']}/redrive").status == 202

    handled = receiver.until(saved["id"], "handled")
    assert [each["number"] for each in handled["attempts"]] == [1, 2, 3, 4, 5, 6]
    result = receiver.result(saved["id"])
    assert result["idempotency_key"] == f"billing/{saved['delivery_id']}"
    assert (handled["redrives"], handled["body"]) == (1, saved["body"])
    assert len(receiver.until(lost["id"], "dead")["attempts"]) == 6
    assert saved["id"] not in [each["id"] for each in receiver.listed("/dead-letters")]


def test_a_purged_dead_letter_is_erased_and_its_repetition_not_handled(receiver: Any, fresh: Any) -> None:
    dead, other = _dead(receiver, note=fresh.word()), _dead(receiver)

    assert receiver.admin("DELETE", f"/dead-letters/{dead['id']}").status == 204

    purged = receiver.show(dead["id"])
    assert (purged["state"], purged["body"], purged["attempts"]) == ("purged", "", [])
    dead_ids = [each["id"] for each in receiver.listed("/dead-letters")]
    assert (dead["id"] in dead_ids, other["id"] in dead_ids) == (False, True)
    assert receiver.redeliver(dead).status == 202
    receiver.until(receiver.wish()["id"], "handled")
    assert receiver.show(dead["id"]) == purged
    assert receiver.find(dead["delivery_id"])["id"] == dead["id"]


def test_all_dead_letters_or_those_of_a_source_are_redriven_and_purged(start: Any) -> None:
    receiver = start(max_attempts=3)
    handled = receiver.until(receiver.wish()["id"], "handled")
    billing = [_dead(receiver, fail=4) for _ in range(2)]
    shop = [_dead(receiver, fail=4, source="shop") for _ in range(2)]

    redriven = receiver.admin("POST", "/dead-letters/redrive", source="billing")
    assert (redriven.status, redriven.json()) == (202, {"count": 2})
    for each in billing:
        receiver.until(each["id"], "handled")
    assert receiver.admin("DELETE", "/dead-letters", source="billing").json() == {"count": 0}
    assert [receiver.show(each["id"])["state"] for each in shop] == ["dead", "dead"]
    assert receiver.admin("DELETE", "/dead-letters").json() == {"count": 2}
    assert receiver.admin("POST", "/dead-letters/redrive").json() == {"count": 0}
    assert [receiver.show(each["id"])["state"] for each in shop] == ["purged", "purged"]
    assert receiver.show(handled["id"]) == handled


def test_only_dead_letters_are_redriven_and_purged(receiver: Any) -> None:
    handled = receiver.until(receiver.wish()["id"], "handled")
    purged = _dead(receiver)
    receiver.admin("DELETE", f"/dead-letters/{purged['id']}")
    purged = receiver.show(purged["id"])

    for method, path in (ENDPOINTS[4], ENDPOINTS[6]):
        for each in (handled, purged):
            refused = receiver.admin(method, path.format(each["id"]))
            assert (refused.status, refused.json()["code"]) == (409, "not-dead")
            assert receiver.show(each["id"]) == each
        unknown = receiver.admin(method, path.format(2**62))
        assert (unknown.status, unknown.json()["code"]) == (404, "not-found")
    assert receiver.admin("GET", f"/deliveries/{2**62}").status == 404
