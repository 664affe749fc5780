"""Acceptance: lists in pages, filtered and sorted."""

import base64
import json
import random
from typing import Any

import pytest

_random = random.SystemRandom()


@pytest.fixture(autouse=True)
def no_other_records(records: Any) -> None:
    records.empty()


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _some(records: Any, count: int = 7) -> list[dict[str, Any]]:
    """Records among which values repeat, and are missing where they may."""
    pool = [records.values() for _ in range(3)]
    nothing = {field.name: None for field in records.fields if field.optional}
    made = []
    for _ in range(count):
        values = {field.name: _random.choice(pool)[field.name] for field in records.fields}
        made.append(records.create(values))
    return [*made, records.create(pool[0] | nothing), records.create(pool[1] | nothing)]


def _sorted(field: Any, made: list[dict[str, Any]], descending: bool = False) -> list[int]:
    key = lambda record: (field.rank(record[field.name]), record["id"])  # noqa: E731
    return [record["id"] for record in sorted(made, key=key, reverse=descending)]


def test_the_list_shows_every_record_in_order_of_creation(app: Any, records: Any) -> None:
    assert app.get(records.path).json() == {"items": [], "next": None}

    made = [records.create() for _ in range(5)]

    assert app.get(records.path).json() == {"items": made, "next": None}
    assert records.find() == [records.read(record) for record in made]


def test_pages_are_complete_and_do_not_overlap(app: Any, records: Any) -> None:
    made = [records.create() for _ in range(7)]
    for size in (1, 3, 7, 100):
        pages, query = [], {"limit": size}
        while True:
            page = app.get(records.path, params=query).json()
            pages.append(page["items"])
            if page["next"] is None:
                break
            query["cursor"] = page["next"]
            assert len(pages) <= 7

        assert [len(page) for page in pages] == [size] * (7 // size) + [7 % size] * (7 % size > 0)
        assert [record for page in pages for record in page] == made


def test_pages_are_stable_under_inserts_and_deletes(app: Any, records: Any) -> None:
    for sort in ("id", "-id", _random.choice(records.fields).name):
        records.empty()
        made = [records.create() for _ in range(6)]
        order = records.ids(sort=sort)
        page = app.get(records.path, params={"limit": 3, "sort": sort}).json()
        assert [record["id"] for record in page["items"]] == order[:3]

        gone = {order[0], order[2], order[4]}
        for number in gone:
            assert app.delete(f"{records.path}/{number}").status == 204
        new = {records.create()["id"] for _ in range(3)}

        rest = records.ids(limit=1, sort=sort, cursor=page["next"])
        assert [number for number in rest if number not in new] == [order[3], order[5]]
        assert len(set(rest)) == len(rest) <= len(made)
        if sort == "id":
            assert set(rest) >= new


def test_wrong_limits_and_cursors_are_refused(app: Any, records: Any, fresh: Any) -> None:
    for _ in range(2):
        records.create()
    cursor = app.get(records.path, params={"limit": 1}).json()["next"]
    forged = [
        {},
        [],
        None,
        1,
        {"sort": "id"},
        {"sort": "id", "value": [], "id": 1},
        {"sort": "id", "value": 1, "id": "1"},
    ]
    forged += [
        {"sort": "id", "value": 2**70, "id": 1},
        {"sort": "id", "value": 1, "id": 2**70},
        {"sort": 1, "value": 1, "id": 1},
    ]
    wrong = [fresh.word(), "", cursor[:-5], cursor[1:], "é", "=", *map(_encoded, forged)]
    for query in (
        *({"limit": limit} for limit in (0, -1, 101, 10**30, "x", "", "1.5")),
        *({"cursor": text} for text in wrong),
        {"cursor": cursor, "sort": "-id"},
        *({"cursor": cursor, "sort": field.name} for field in records.fields),
    ):
        answer = app.get(records.path, params=query)
        assert answer.status == 422, query
        assert answer.json()["code"] == "invalid-request"
    assert app.get(records.path, params={"cursor": cursor, "limit": 100}).status == 200


def _encoded(document: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode()


def test_every_field_filters_by_equality(records: Any) -> None:
    made = _some(records)
    for field in records.fields:
        for value in {record[field.name] for record in made} - {None}:
            expected = [record["id"] for record in made if record[field.name] == value]
            assert records.ids(**{field.filter: _text(value)}) == expected, (field, value)
        if field.kind != "boolean":
            absent = field.value()
            assert records.ids(**{field.filter: _text(absent)}) == [], field
    _check_text_is_no_pattern(records)


def _check_text_is_no_pattern(records: Any) -> None:
    """Texts that a search without regard to case, spaces or accents, or one for a pattern or a part, takes for one."""
    word = records.word()
    texts = [word, word.upper(), word.title(), f" {word}", f"{word} ", word[:-1], word + "e", word + "é"]
    texts += [f"{word[:-1]}{wild}" for wild in "_%*?."]
    for field in records.of_kind("text"):
        numbers = {text: records.create(records.values() | {field.name: text})["id"] for text in texts}
        for text, number in numbers.items():
            assert records.ids(**{field.filter: text}) == [number], (field, text)


def _check_ranges(records: Any, kind: str, values: list[Any]) -> None:
    """`values` in ascending order; each end of a range includes its bound."""
    for field in records.of_kind(kind):
        records.empty()
        shuffled = _random.sample(values, len(values))
        numbers = {value: records.create(records.values() | {field.name: value})["id"] for value in shuffled}
        low, high = f"min_{field.name}", f"max_{field.name}"
        for position, bound in enumerate(values):
            above = sorted(numbers[value] for value in values[position:])
            below = sorted(numbers[value] for value in values[: position + 1])
            assert records.ids(**{low: bound}) == above, bound
            assert records.ids(**{high: bound}) == below, bound
            assert records.ids(**{low: bound, high: bound}) == [numbers[bound]]
        assert records.ids(**{low: values[1], high: values[-2]}) == sorted(numbers[value] for value in values[1:-1])
        assert records.ids(**{low: values[-1], high: values[0]}) == []
        if field.optional:
            records.create(records.values() | {field.name: None})
            assert records.ids(**{low: values[0]}) == sorted(numbers.values())


def test_integer_fields_filter_by_range(app: Any, records: Any) -> None:
    _check_ranges(records, "integer", [-(2**63), -10, -9, 0, 9, 10, 2**53, 2**53 + 1, 2**63 - 1])


def test_decimal_fields_filter_by_range(app: Any, records: Any) -> None:
    values = ["-999999999999.999999", "-10", "-9.5", "0", "0.000001", "9.5", "10", "123456789012.345677"]
    _check_ranges(records, "decimal", [*values, "123456789012.345678", "999999999999.999999"])


def test_date_fields_filter_by_range(app: Any, records: Any) -> None:
    _check_ranges(records, "date", ["0001-01-01", "0999-12-31", "1999-12-31", "2000-01-01", "2028-02-29", "9999-12-31"])


def test_datetime_fields_filter_by_range(app: Any, records: Any) -> None:
    values = ["0001-01-01T00:00:00Z", "2030-01-31T09:30:00Z", "2030-01-31T09:30:00.000001Z", "2030-01-31T09:30:00.1Z"]
    _check_ranges(records, "datetime", [*values, "2030-01-31T10:00:00Z", "9999-12-31T23:59:59.999999Z"])
    for field in records.of_kind("datetime"):
        records.empty()
        record = records.create(records.values() | {field.name: "2030-01-31T23:30:00Z"})
        assert records.ids(**{f"min_{field.name}": "2030-02-01T00:30:00+01:00"}) == [record["id"]]
        assert records.ids(**{f"min_{field.name}": "2030-01-31T23:30:00-01:00"}) == []
        assert records.ids(**{field.filter: "2030-01-31T22:30:00-01:00"}) == [record["id"]]


def test_filters_combine_with_sorting_and_paging(records: Any) -> None:
    made = _some(records, 9)
    for field, other in zip(records.fields, [*records.fields[1:], records.fields[0]], strict=True):
        query, expected = {}, made
        for each in (field, other):
            value = next(record[each.name] for record in made if record[each.name] is not None)
            query[each.filter] = _text(value)
            expected = [record for record in expected if record[each.name] == value]
        assert records.ids(**query, sort=f"-{other.name}", limit=2) == _sorted(other, expected, descending=True)


def test_wrong_queries_are_refused(app: Any, records: Any, fresh: Any) -> None:
    records.create()
    wrong = {
        "text": ["", "x" * 2001],
        "integer": ["x", "", "1.5", str(2**63)],
        "decimal": ["x", "", "1e3", "NaN", str(10**12)],
        "boolean": ["x", "", "2"],
        "date": ["x", "", "2030-02-29", "0"],
        "datetime": ["x", "", "2030-01-31T09:30:00", "0"],
        "email": ["x", ""],
        "url": ["x", ""],
    }
    queries = [{fresh.word(): "1"}, {"sort": fresh.word()}, {"sort": ""}, {"sort": "--id"}, {"sort": "row_version"}]
    for field in records.fields:
        ends = [f"min_{field.name}", f"max_{field.name}"]
        ranged = field.kind in ("integer", "decimal", "date", "datetime")
        names = [field.filter, *(ends if ranged else [])]
        queries += [{name: value} for name in names for value in wrong[field.kind]]
        known = {each.filter for each in records.fields}
        queries += [{name: _text(field.value())} for name in ends if not ranged and name not in known]
        queries += [{"sort": f"+{field.name}"}, {"sort": f"{field.name},id"}]
    for query in queries:
        answer = app.get(records.path, params=query)
        assert answer.status == 422, query
        [(name, _)] = query.items()
        assert [error["field"] for error in answer.json()["errors"]] == [name]


def test_every_field_sorts_in_both_directions(records: Any) -> None:
    made = _some(records)
    for field in records.fields:
        if field.kind in ("integer", "decimal"):
            convert = str if field.kind == "decimal" else int
            made += [records.create(records.values() | {field.name: convert(value)}) for value in (9, 10, -9, -10)]
        if field.kind == "text":
            made += [
                records.create(records.values() | {field.name: text}) for text in ("b", "B", "a", "Z", "é", "😀", "中")
            ]
    for field in records.fields:
        assert records.ids(sort=field.name, limit=100) == _sorted(field, made), field
        assert records.ids(sort=f"-{field.name}", limit=100) == _sorted(field, made, descending=True), field
    assert records.ids(sort="-id") == sorted((record["id"] for record in made), reverse=True)


def test_pages_follow_the_order_of_any_field(records: Any) -> None:
    made = _some(records)
    for field in records.fields:
        assert records.ids(sort=field.name, limit=2) == _sorted(field, made), field
        assert records.ids(sort=f"-{field.name}", limit=2) == _sorted(field, made, descending=True), field
