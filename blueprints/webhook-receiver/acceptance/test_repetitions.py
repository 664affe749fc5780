"""Acceptance: what is delivered again."""

import time
from typing import Any


def test_a_repetition_gets_the_same_answer_and_is_not_handled_again(receiver: Any) -> None:
    delivery_id, body, now = receiver.id(), b'{"fail": 1}', int(time.time())
    first = receiver.post(delivery_id, body, timestamp=now)
    identity = receiver.find(delivery_id)["id"]
    again = [receiver.post(delivery_id, body, timestamp=stamp) for stamp in (now, now - 1, now + 1)]
    handled = receiver.until(identity, "handled")
    again += [receiver.post(delivery_id, body, timestamp=now + late) for late in (0, 5)]
    later = receiver.wish()
    receiver.until(later["id"], "handled")

    assert {(each.status, each.content) for each in again} == {(202, first.content)}
    assert receiver.show(identity) == handled
    assert receiver.result(identity)["calls"] == 2  # the failure and the success
    assert receiver.find(delivery_id)["id"] == identity


def test_of_parallel_repetitions_one_is_handled(receiver: Any) -> None:
    for _ in range(3):
        delivery_id = receiver.id()
        answers = receiver.app.concurrently([receiver.call(delivery_id, b'{"wait": 0.02}')] * 8)

        assert {(each.status, each.content) for each in answers} == {(202, answers[0].content)}
        result = receiver.result(receiver.find(delivery_id)["id"])
        assert (result["calls"], result["attempt"]) == (1, 1)


def test_one_id_with_two_bodies_is_refused(receiver: Any) -> None:
    delivery_id = receiver.id()
    first = receiver.post(delivery_id, b'{"amount": 1}')
    receiver.until(receiver.find(delivery_id)["id"], "handled")

    for body in (b'{"amount": 2}', b"", b'{"amount": 1} '):
        refused = receiver.post(delivery_id, body)
        assert (refused.status, refused.json()["code"]) == (409, "delivery-id-reused")
    again = receiver.post(delivery_id, b'{"amount": 1}')
    assert (again.status, again.content) == (202, first.content)
    assert receiver.result(receiver.find(delivery_id)["id"])["calls"] == 1


def test_ids_of_two_sources_do_not_meet(receiver: Any) -> None:
    delivery_id = receiver.id()
    for source in ("billing", "shop"):
        assert receiver.post(delivery_id, source.encode(), source=source).status == 202

    found = [each for each in receiver.listed(limit=100) if each["delivery_id"] == delivery_id]
    keys = {receiver.result(each["id"])["idempotency_key"] for each in found}
    assert keys == {f"billing/{delivery_id}", f"shop/{delivery_id}"}
