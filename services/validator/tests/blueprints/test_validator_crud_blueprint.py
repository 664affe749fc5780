"""The crud-service blueprint is proved for fields of every type, and refuted when it is broken on purpose."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

pytestmark = pytest.mark.proof

Parameters = dict[str, str]

PERSON: Parameters = {
    "resource": "person",
    "plural": "people",
    "fields": "class:text?,type:integer?,order:decimal?,limit:date,sort:datetime?,min_order:email,json:boolean?,a:url?",
    "project_name": "people-service",
    "package": "people_service",
}
"""Every type, optional fields, an irregular plural, and names that Python, SQL, libraries and our own queries use."""


@pytest.mark.timeout(1200)  # a guard against hanging, not a measure
def test_the_unbroken_blueprint_passes_with_every_criterion_shown(product: Any, prove: Callable[..., Any]) -> None:
    prove(product("crud-service", **PERSON))


SMALL: Parameters = {"fields": "title:text?,stock:integer,price:decimal"}

FAULTS = {
    "updates are lost": (
        "store.py",
        "if etag(row) not in",
        'if "" in',
        "acceptance/test_locking.py::test_an_outdated_if_match_is_refused",
    ),
    "parallel updates do not wait for each other": (
        "database.py",
        '"BEGIN IMMEDIATE" if writes else "BEGIN"',
        '"BEGIN"',
        "acceptance/test_locking.py::test_of_parallel_updates_with_one_etag_exactly_one_wins",
    ),
    "values are bent into shape": (
        "bodies.py",
        "strict=True",
        "strict=False",
        "acceptance/test_fields.py::test_every_field_refuses_every_other_type",
    ),
    "decimals pass through floating point": (
        "bodies.py",
        "parse_float=Decimal, ",
        "",
        "acceptance/test_fields.py::test_decimal_fields",
    ),
    "pages forget what comes after missing values": (
        "paging.py",
        "value.is_not(None) if end.value is None else value > end.value",
        "value > end.value",
        "acceptance/test_lists.py::test_pages_follow_the_order_of_any_field",
    ),
    "a range leaves its bound out": (
        "models.py",
        "from operator import eq, ge, le",
        "from operator import eq, gt as ge, le",
        "acceptance/test_lists.py::test_integer_fields_filter_by_range",
    ),
    "a filter takes text for a pattern, in any case": (
        "models.py",
        "(ItemRow.title, eq, self.title)",
        "(ItemRow.title, lambda column, text: column.ilike(text), self.title)",
        "acceptance/test_lists.py::test_every_field_filters_by_equality",
    ),
    "text sorts without regard to case": (
        "paging.py",
        "order_by(value, table.id)",
        'order_by(value.collate("NOCASE"), table.id)',
        "acceptance/test_lists.py::test_every_field_sorts_in_both_directions",
    ),
    "PUT keeps what was left out": (
        "api.py",
        "body.model_dump(), if_match",
        "body.model_dump(exclude_unset=True), if_match",
        "acceptance/test_records.py::test_put_replaces_a_record",
    ),
    "nothing outlives the process": (
        "database.py",
        "create_engine(url)",
        'create_engine("sqlite:///file:data?mode=memory&cache=shared&uri=true")',
        "acceptance/test_service.py::test_everything_survives_a_restart",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_blueprint_is_refuted_by_the_criterion_that_it_breaks(
    product: Any, refute: Callable[..., None], name: str
) -> None:
    refute(product("crud-service", **SMALL), FAULTS[name])
