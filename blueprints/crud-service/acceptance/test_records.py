"""Acceptance: create, read, replace, update in part, delete."""

import datetime
from typing import Any

MERGE_PATCH = {"content-type": "application/merge-patch+json"}


def test_a_created_record_is_shown_with_the_values_sent(app: Any, records: Any) -> None:
    for _ in range(3):
        values = records.values()

        created = app.post(records.path, json=values)

        assert created.status == 201
        assert created.headers["location"] == records.url(created.json())
        shown = app.get(created.headers["location"])
        assert shown.status == 200
        assert shown.json() == created.json()
        assert records.without_own(shown.json()) == values


def test_a_record_has_exactly_the_fields(records: Any) -> None:
    record = records.create()

    assert set(record) == {*records.own, *(field.name for field in records.fields)}
    assert set(records.read(record)) == set(record)
    assert set(records.find(limit=1)[0]) == set(record)
    assert type(record["id"]) is int


def test_required_fields_are_required_and_optional_ones_are_not(app: Any, records: Any) -> None:
    record = records.create()
    for field in records.fields:
        values = records.values()
        absent = {name: value for name, value in values.items() if name != field.name}
        for body in (absent, values | {field.name: None}):
            created, replaced = app.post(records.path, json=body), app.put(records.url(record), json=body)

            assert (created.status, replaced.status) == ((201, 200) if field.optional else (422, 422)), field
            if field.optional:
                expected = values | {field.name: None}
                assert records.without_own(created.json()) == records.without_own(replaced.json()) == expected


def test_an_unknown_record_is_not_found(app: Any, records: Any) -> None:
    gone = records.create()
    assert app.delete(records.url(gone)).status == 204
    before = records.find()
    for url in (records.url(gone), f"{records.path}/{gone['id'] + 10**9}"):
        answers = [
            app.get(url),
            app.put(url, json=records.values()),
            app.patch(url, json=records.values()),
            app.delete(url),
        ]

        assert [each.status for each in answers] == [404] * 4
        assert [each.json()["code"] for each in answers] == ["not-found"] * 4
    assert records.find() == before


def test_put_replaces_a_record(app: Any, records: Any) -> None:
    record, bystander = records.create(), records.create()
    values = records.others(record)

    replaced = app.put(records.url(record), json=values)

    assert replaced.status == 200
    assert records.without_own(replaced.json()) == values
    assert records.read(record) == replaced.json()
    required = {field.name: values[field.name] for field in records.fields if not field.optional}
    emptied = app.put(records.url(record), json=required).json()
    assert records.without_own(emptied) == dict.fromkeys(values) | required
    assert records.read(bystander) == bystander


def test_patch_changes_the_given_fields_only(app: Any, records: Any) -> None:
    record, bystander = records.create(), records.create()
    values = records.without_own(record)
    for field in records.fields:
        values[field.name] = field.other(values[field.name])

        patched = app.patch(records.url(record), json={field.name: values[field.name]}, headers=MERGE_PATCH)

        assert patched.status == 200
        assert records.without_own(patched.json()) == values
        assert records.read(record) == patched.json()
    assert app.patch(records.url(record), json={}).json() == records.read(record) == patched.json()
    assert records.read(bystander) == bystander


def test_patch_with_null_clears_optional_fields_only(app: Any, records: Any) -> None:
    for field in records.fields:
        record = records.create()

        patched = app.patch(records.url(record), json={field.name: None})

        assert patched.status == (200 if field.optional else 422), field
        cleared = {field.name: None} if field.optional else {}
        assert records.without_own(records.read(record)) == records.without_own(record) | cleared


def test_delete_removes_one_record_for_good(app: Any, records: Any) -> None:
    bystander, record = records.create(), records.create()

    deleted = app.delete(records.url(record))

    assert (deleted.status, deleted.content) == (204, b"")
    assert app.get(records.url(record)).status == 404
    assert app.delete(records.url(record)).status == 404
    assert record["id"] not in records.ids()
    assert records.read(bystander) == bystander
    assert records.create()["id"] > record["id"]


def test_the_times_of_creation_and_update_are_kept(app: Any, records: Any) -> None:
    now = datetime.datetime.now(datetime.UTC)
    record = records.create()

    updated = app.patch(records.url(record), json=records.others(record)).json()

    created_at, updated_at = (datetime.datetime.fromisoformat(updated[name]) for name in ("created_at", "updated_at"))
    assert record["created_at"] == record["updated_at"] == updated["created_at"]
    assert created_at.utcoffset() == updated_at.utcoffset() == datetime.timedelta(0)
    assert updated_at > created_at
    assert abs(updated_at - now) < datetime.timedelta(minutes=10)
    assert updated["id"] == record["id"]
    replaced = app.put(records.url(record), json=records.values()).json()
    assert (replaced["id"], replaced["created_at"]) == (record["id"], record["created_at"])


def test_a_refused_write_changes_nothing(app: Any, records: Any) -> None:
    record = records.create()
    before = records.find()
    for field in records.fields:
        wrong = records.others(record) | {field.name: {}}
        for refused in (
            app.post(records.path, json=wrong),
            app.put(records.url(record), json=wrong),
            app.patch(records.url(record), json=wrong),
        ):
            assert refused.status == 422
    assert records.find() == before
