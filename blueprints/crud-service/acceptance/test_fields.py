"""Acceptance: what the fields accept and refuse, type by type."""

import json
from typing import Any

WRONG: dict[str, list[Any]] = {
    "text": [True, 17, 1.5, [], {}, ["text"]],
    "integer": [True, 1.5, 17.0, "17", "", [], {}],
    "decimal": [True, "", "one", [], {}, ["1.5"]],
    "boolean": [0, 1, 1.5, "true", "false", "", [], {}],
    "date": [True, 0, 1.5, "", [], {}],
    "datetime": [True, 0, 1.5, "", [], {}],
    "email": [True, 17, 1.5, "", [], {}],
    "url": [True, 17, 1.5, "", [], {}],
}


def _statuses(app: Any, records: Any, record: dict[str, Any], body: dict[str, Any]) -> set[int]:
    bodies = {"json": body}
    calls = [
        ("POST", records.path, bodies),
        ("PUT", records.url(record), bodies),
        ("PATCH", records.url(record), bodies),
    ]
    return {answer.status for answer in app.concurrently(calls)}


def _check(app: Any, records: Any, kind: str, kept: list[Any], refused: list[Any]) -> None:
    """Values of one type: shown as they were sent, or refused by name."""
    fields = records.of_kind(kind)
    for field in fields:
        for value in kept:
            assert records.read(records.create(records.values() | {field.name: value}))[field.name] == value, value
        before = app.get(records.path, params={"sort": "-id", "limit": 1}).json()
        for value in refused:
            answer = app.post(records.path, json=records.values() | {field.name: value})
            assert answer.status == 422, value
            assert [error["field"] for error in answer.json()["errors"]] == [field.name]
        assert app.get(records.path, params={"sort": "-id", "limit": 1}).json() == before


def _post_raw(app: Any, records: Any, name: str, literal: str) -> Any:
    """Create a record with a JSON literal that Python would not write."""
    body = json.dumps(records.values() | {name: "LITERAL"}).replace('"LITERAL"', literal)
    return app.post(records.path, content=body, headers={"content-type": "application/json"})


def test_unknown_fields_are_refused(app: Any, records: Any, fresh: Any) -> None:
    record = records.create()
    for name in (fresh.word(), "id", "created_at", "updated_at", "row_version", "__class__"):
        for value in (1, "1", None, record.get(name)):
            assert _statuses(app, records, record, records.values() | {name: value}) == {422}, name
    assert records.read(record) == record


def test_every_field_refuses_every_other_type(app: Any, records: Any) -> None:
    record = records.create()
    for field in records.fields:
        for value in WRONG[field.kind]:
            assert _statuses(app, records, record, records.values() | {field.name: value}) == {422}, (field, value)
    assert records.read(record) == record


def test_a_refusal_names_every_wrong_field(app: Any, records: Any, fresh: Any) -> None:
    record, unknown = records.create(), fresh.word()
    names = [field.name for field in records.fields]
    for wrong in ([unknown], *([name] for name in names), names[::2], names[1::2], [*names, unknown]):
        if not wrong:
            continue
        body = records.values() | {name: {} for name in wrong}
        for answer in (
            app.post(records.path, json=body),
            app.put(records.url(record), json=body),
            app.patch(records.url(record), json=body),
        ):
            errors = answer.json()["errors"]
            assert sorted(error["field"] for error in errors) == sorted(wrong)
            assert {error["in"] for error in errors} == {"body"}
            assert all(type(error["message"]) is str and error["message"] for error in errors)


def test_text_fields(app: Any, records: Any, fresh: Any) -> None:
    kept = [
        fresh.word()[0],
        "é中😀\u202e\n\t '\"\\%_;--",
        "x" * 2000,
        "😀" * 2000,
        " " + fresh.word() + " ",
        "null",
        "1",
    ]
    _check(app, records, "text", kept, ["", "x" * 2001, "\ud800", fresh.word() + "\udfff", "😀" * 2001])


def test_integer_fields(app: Any, records: Any) -> None:
    _check(
        app, records, "integer", [0, -1, 2**53 + 1, 2**63 - 1, -(2**63)], [2**63, -(2**63) - 1, 10**30, 0.5, -1.0, "1"]
    )
    for field in records.of_kind("integer"):
        for literal in ("1.0", "1e2", "1e400", "-0.0", "1E0"):
            assert _post_raw(app, records, field.name, literal).status == 422, literal


def test_decimal_fields(app: Any, records: Any) -> None:
    kept = ["0", "0.1", "-0.000001", "999999999999.999999", "-999999999999.999999", "100", "123456789012.345678"]
    refused = ["1000000000000", "-1000000000000", "0.0000001", "1e3", "NaN", "Infinity", "-Infinity", " 1", "1 ", "1_0"]
    _check(app, records, "decimal", kept, [*refused, "1.", ".5", "+1", "0x1", "1,5", "٣", 10**12, 0.0000001])
    shown = {"9.90": "9.9", "-0": "0", "0.000000": "0", "007": "7", "1e2": "100", "0.1": "0.1"}
    for field in records.of_kind("decimal"):
        for literal in ("123456789012.345678", "-999999999999.999999", "0.000001", "0.3"):
            assert _post_raw(app, records, field.name, literal).json()[field.name] == literal
        for literal in ("1e12", "1e-7", "1e400", "999999999999.9999999"):
            assert _post_raw(app, records, field.name, literal).status == 422, literal
        for literal in ("NaN", "Infinity", "-Infinity", "1e99999999999999999999"):
            assert _post_raw(app, records, field.name, literal).status == 400, literal
        for sent, expected in shown.items():
            literal = sent if sent == "1e2" else f'"{sent}"'
            assert _post_raw(app, records, field.name, literal).json()[field.name] == expected


def test_boolean_fields(app: Any, records: Any) -> None:
    refused = [0, 1, "true", "false", "True", "yes", "on", "1", "0", 1.0]
    _check(app, records, "boolean", [True, False], refused)
    for field in records.of_kind("boolean"):
        for value in (True, False):
            assert records.create(records.values() | {field.name: value})[field.name] is value


def test_date_fields(app: Any, records: Any) -> None:
    kept = ["0001-01-01", "9999-12-31", "2028-02-29", "1999-12-31"]
    refused = [
        "2030-02-29",
        "2030-13-01",
        "2030-00-10",
        "2030-1-1",
        "20300131",
        "2030-W01-1",
        "31.01.2030",
        "0000-01-01",
    ]
    _check(
        app,
        records,
        "date",
        kept,
        [*refused, "2030-01-31T00:00:00Z", "0000-01-01", "2030-01-31 ", "now", "٢٠٣٠-٠١-٠١"],
    )


def test_datetime_fields(app: Any, records: Any) -> None:
    kept = [
        "2030-01-31T09:30:00Z",
        "2030-01-31T09:30:00.000001Z",
        "0001-01-01T00:00:00Z",
        "9999-12-31T23:59:59.999999Z",
    ]
    refused = ["2030-01-31T09:30:00", "2030-01-31", "2030-01-31 09:30:00Z", "2030-01-31T09:30Z", "20300131T093000Z"]
    refused += [
        "2030-02-30T09:30:00Z",
        "2030-01-31T25:00:00Z",
        "2030-01-31T09:30:00.0000001Z",
        "1900000000",
        1900000000,
    ]
    refused += ["0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2030-01-31T09:30:00+25:00", "now"]
    _check(app, records, "datetime", kept, refused)
    shown = {
        "2030-01-31T00:30:00+01:00": "2030-01-30T23:30:00Z",
        "2030-01-31T23:59:59.5-05:30": "2030-02-01T05:29:59.500000Z",
        "2030-01-31T09:30:00+00:00": "2030-01-31T09:30:00Z",
    }
    for field in records.of_kind("datetime"):
        for sent, expected in shown.items():
            assert records.read(records.create(records.values() | {field.name: sent}))[field.name] == expected


def test_email_fields(app: Any, records: Any, fresh: Any) -> None:
    kept = [
        fresh.email(),
        "a@b.example",
        "first.last+tag@sub.domain.example",
        "UPPER@Example.ORG",
        "o'neil@a-b.example",
    ]
    word = fresh.word()
    refused = [word, f"{word}@", f"@{word}.example", f"{word}@example", f"{word} x@b.example", f"{word}@b..example"]
    refused += [f"{word}@-b.example", f"{word}@b.example\n", f"{word}@b@c.example", f"{word}@b.example, c@d.example"]
    _check(app, records, "email", kept, [*refused, "a" * 250 + "@b.example", f"<{word}@b.example>"])


def test_url_fields(app: Any, records: Any, fresh: Any) -> None:
    host = f"{fresh.word()}.example"
    kept = [
        f"https://{host}",
        f"http://{host}:8080/a/b?c=d&e=%20#f",
        f"https://{host}/" + "x" * 1900,
        "http://localhost/",
    ]
    refused = [
        host,
        f"ftp://{host}",
        f"javascript://{host}",
        "javascript:alert(1)",
        "https://",
        f"https:/{host}",
        f"//{host}",
    ]
    refused += [
        f"https://{host}/a b",
        f" https://{host}",
        f"https://{host}\n",
        f"https://{host}:x",
        "https://-/",
        "http:///x",
    ]
    refused += [f"https://user@{host}/", f"https://{host}/é", f"https://{host}/" + "x" * 2000]
    _check(app, records, "url", kept, refused)
