"""The webhook-receiver blueprint is proved as it is, and refuted when it is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.proof


@pytest.mark.timeout(1200)  # a guard against hanging, not a measure
def test_the_unbroken_blueprint_passes_with_every_criterion_shown(product: Any, prove: Callable[..., Any]) -> None:
    prove(product("webhook-receiver"))


FAULTS = {
    "anyone may deliver": (
        "signatures.py",
        "return any(matches)",
        "return any(matches) or bool(presented)",
        "acceptance/test_receiving.py::test_what_is_not_signed_is_refused_alike_and_not_stored",
    ),
    "an id may come with another body": (
        "inbox.py",
        "        if known and known.body_digest != digest:\n            raise DeliveryIdReused\n",
        "",
        "acceptance/test_repetitions.py::test_one_id_with_two_bodies_is_refused",
    ),
    "delays stay the same": (
        "queue.py",
        "2.0 ** min(tries - 1, 64)",
        "1.0",
        "acceptance/test_handling.py::test_delays_double_up_to_a_bound",
    ),
    "parallel repetitions do not wait for each other": (
        "database.py",
        '"BEGIN IMMEDIATE" if writes else "BEGIN"',
        '"BEGIN"',
        "acceptance/test_repetitions.py::test_of_parallel_repetitions_one_is_handled",
    ),
    "attempts that end in a crash do not count": (
        "queue.py",
        "    delivery.tries += 1\n",
        "",
        "acceptance/test_crashes.py::test_a_delivery_that_kills_the_process_each_time_becomes_a_dead_letter",
    ),
    "a purge forgets the delivery": (
        "deliveries.py",
        """        tx.execute(delete(Attempt).where(Attempt.delivery == identity))
        tx.execute(update(Delivery).where(Delivery.id == identity).values(changes))""",
        "        tx.execute(delete(Delivery).where(Delivery.id == identity))",
        "acceptance/test_dead_letters.py::test_a_purged_dead_letter_is_erased_and_its_repetition_not_handled",
    ),
    "administration is open": (
        "api.py",
        "        raise InvalidAdminToken",
        "        return",
        "acceptance/test_dead_letters.py::test_administration_needs_the_token",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_blueprint_is_refuted_by_the_criterion_that_it_breaks(
    product: Any, refute: Callable[..., None], name: str
) -> None:
    refute(product("webhook-receiver"), FAULTS[name])
