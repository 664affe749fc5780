"""Acceptance: what holds for the service as a whole."""

from typing import Any

import pytest

JSON = {"content-type": "application/json"}

STRING = {"type": "string"}
SENT: dict[str, dict[str, Any]] = {
    "text": {**STRING, "minLength": 1, "maxLength": 2000},
    "integer": {"type": "integer", "format": "int64"},
    "boolean": {"type": "boolean"},
    "date": {**STRING, "format": "date"},
    "datetime": {**STRING, "format": "date-time"},
    "email": {**STRING, "format": "email", "maxLength": 254},
    "url": {**STRING, "format": "uri", "maxLength": 2000},
}


def test_everything_survives_a_restart(app: Any, records: Any) -> None:
    made = [records.create() for _ in range(3)]
    gone = records.create()
    assert app.delete(records.url(gone)).status == 204
    made[0] = app.patch(records.url(made[0]), json=records.others(made[0])).json()
    tag = app.get(records.url(made[0])).headers["etag"]
    page = app.get(records.path, params={"limit": 2}).json()

    app.restart()

    assert records.find() == made
    assert app.get(records.url(made[0])).headers["etag"] == tag
    assert app.get(records.path, params={"cursor": page["next"]}).json()["items"] == made[2:]
    assert app.get(records.url(gone)).status == 404
    assert records.create()["id"] > gone["id"]


def test_openapi_describes_exactly_the_resource(app: Any, records: Any) -> None:
    document = app.get("/openapi.json").json()
    paths, one = document["paths"], records.path + "/{id}"

    described = {(method, path) for path, methods in paths.items() for method in methods}
    assert described == {
        ("post", records.path),
        ("get", records.path),
        *((method, one) for method in ("get", "put", "patch", "delete")),
        ("get", "/healthz"),
    }
    names = {field.name for field in records.fields}
    required = {field.name for field in records.fields if not field.optional}
    created = _body(document, paths[records.path]["post"]["requestBody"])
    replaced = _body(document, paths[one]["put"]["requestBody"])
    patched = _body(document, paths[one]["patch"]["requestBody"])
    merged = _body(document, paths[one]["patch"]["requestBody"], "application/merge-patch+json")
    assert created == replaced
    assert patched == merged
    assert set(created.get("required", [])) == required
    assert "required" not in patched
    for schema in (created, patched):
        assert set(schema["properties"]) == names
        assert schema["additionalProperties"] is False
        for field in records.fields:
            _check_sent(field, schema["properties"][field.name], field.optional)
    shown = _body(document, paths[one]["get"]["responses"]["200"])
    page = _body(document, paths[records.path]["get"]["responses"]["200"])
    assert _resolved(document, page["properties"]["items"]["items"]) == shown
    assert set(shown["properties"]) == set(shown["required"]) == {*names, *records.own}
    for field in records.fields:
        _check_shown(field, shown["properties"][field.name])
    _check_parameters(records, paths[records.path]["get"]["parameters"])
    for path, methods in paths.items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
    browser = app.get("/docs")
    assert browser.status == 200
    assert browser.headers["content-type"].startswith("text/html")
    assert "/openapi.json" in browser.text


def _resolved(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    reference = schema.get("$ref")
    return document["components"]["schemas"][reference.rpartition("/")[2]] if reference else schema


def _body(document: dict[str, Any], part: dict[str, Any], media_type: str = "application/json") -> dict[str, Any]:
    return _resolved(document, part["content"][media_type]["schema"])


def _plain(schema: dict[str, Any], optional: bool) -> list[dict[str, Any]]:
    """The alternatives of a schema but null, which must be one of them exactly if the value is optional."""
    alternatives = [each for found in schema.get("anyOf", [schema]) for each in found.get("anyOf", [found])]
    assert ({"type": "null"} in alternatives) == optional, schema
    return [each for each in alternatives if each != {"type": "null"}]


def _check_sent(field: Any, schema: dict[str, Any], optional: bool) -> None:
    alternatives = _plain(schema, optional)
    if field.kind == "decimal":
        assert {each["type"] for each in alternatives} == {"string", "number"}, field
        assert all("pattern" in each for each in alternatives if each["type"] == "string")
        return
    [found] = alternatives
    assert found.items() >= SENT[field.kind].items(), field
    assert ("pattern" in found) == (field.kind in ("email", "url"))


def _check_shown(field: Any, schema: dict[str, Any]) -> None:
    [found] = _plain(schema, field.optional)
    expected = STRING if field.kind == "decimal" else SENT[field.kind]
    assert found.items() >= expected.items(), field


def _check_parameters(records: Any, parameters: list[dict[str, Any]]) -> None:
    schemas = {each["name"]: each["schema"] for each in parameters if each["in"] == "query"}
    ranged = [field for field in records.fields if field.kind in ("integer", "decimal", "date", "datetime")]
    ends = {f"{end}_{field.name}": field for field in ranged for end in ("min", "max")}
    filters = {field.filter: field for field in records.fields} | ends
    assert len(parameters) == len(schemas)
    assert set(schemas) == {"limit", "cursor", "sort", *filters}
    assert schemas["limit"].items() >= {"type": "integer", "minimum": 1, "maximum": 100}.items()
    orders = ["id", *(field.name for field in records.fields)]
    assert sorted(schemas["sort"]["enum"]) == sorted([*orders, *("-" + name for name in orders)])
    for name, field in filters.items():
        _check_sent(field, schemas[name], optional=True)


def test_health_endpoint_answers(app: Any) -> None:
    response = app.get("/healthz")

    assert response.status == 200
    assert response.json() == {"status": "ok"}


def test_every_error_is_a_problem_document(app: Any, records: Any, fresh: Any) -> None:
    url = records.url(records.create())
    errors = [
        (400, app.post(records.path, content="{", headers=JSON)),
        (404, app.get(f"/{fresh.word()}")),
        (404, app.get(f"{records.path}/{2**62}")),
        (404, app.put(f"{records.path}/{2**62}", json=records.values())),
        (405, app.delete(records.path)),
        (405, app.post(url, json={})),
        (412, app.delete(url, headers={"if-match": f'"{fresh.word()}"'})),
        (413, app.post(records.path, content=b" " * (2**20 + 1), headers=JSON)),
        (415, app.post(records.path, content="{}", headers={"content-type": "text/plain"})),
        (422, app.post(records.path, json={fresh.word(): 1})),
        (422, app.get(records.path, params={"limit": 0})),
        (422, app.get(f"{records.path}/{fresh.word()}")),
        (422, app.get(f"{records.path}/{2**63}")),
        (422, app.get(f"{records.path}/0")),
    ]

    for status, response in errors:
        assert response.status == status
        assert response.headers["content-type"].startswith("application/problem+json")
        problem = response.json()
        assert problem["status"] == status
        for member in ("type", "title", "code", "detail"):
            assert type(problem[member]) is str
            assert problem[member]


def test_malformed_json_is_refused(app: Any, records: Any) -> None:
    record = records.create()
    calls = [("POST", records.path), ("PUT", records.url(record)), ("PATCH", records.url(record))]
    broken = [
        "{",
        "}",
        "",
        b"\xff\xfe",
        b'{"a": "\xff"}',
        "'a'",
        '{"a": 1,}',
        "{} {}",
        "nul",
        '{"a": NaN}',
        '{"a": -Infinity}',
    ]
    broken += ["[" * 100_000, '{"a":' * 50_000, "9" * 10_000, "1e99999999999999999999", '{"a": "\n"}', "\ufeff{}"]
    for method, path in calls:
        for content in broken:
            answer = app.request(method, path, content=content, headers=JSON)
            expected = (400, "malformed-json") if content else (422, "invalid-request")
            assert (answer.status, answer.json()["code"]) == expected, content[:40]
        for content in ("[]", "[{}]", '"text"', "17", "null", "true"):
            assert app.request(method, path, content=content, headers=JSON).status == 422, content
    assert records.read(record) == record


def test_other_media_types_are_refused(app: Any, records: Any) -> None:
    record = records.create()
    values = records.values()
    merge_patch = {"content-type": "application/merge-patch+json"}
    refused = (
        "text/plain",
        "application/x-www-form-urlencoded",
        "text/json",
        "application/xml",
        "multipart/form-data",
        "x",
    )
    for method, path in (("POST", records.path), ("PUT", records.url(record)), ("PATCH", records.url(record))):
        for media_type in refused:
            parts = {"json": values, "headers": {"content-type": media_type}}
            assert app.request(method, path, **parts).status == 415, media_type
        if method != "PATCH":
            assert app.request(method, path, json=values, headers=merge_patch).status == 415
    assert records.read(record) == record
    with_charset = {"content-type": "Application/JSON; charset=utf-8"}
    assert app.put(records.url(record), json=values, headers=with_charset).status == 200
    assert app.patch(records.url(record), json=records.values(), headers=merge_patch).status == 200


def test_bodies_beyond_the_limit_are_refused(app: Any, records: Any) -> None:
    record = records.create()
    body = '{"' + "x" * 100 + '": 1}'
    for padding, status in ((2**20 - len(body), 422), (2**20 - len(body) + 1, 413), (2**21, 413)):
        content = body + " " * padding
        for method, path in (("POST", records.path), ("PUT", records.url(record)), ("PATCH", records.url(record))):
            for headers in (JSON, JSON | {"content-length": "2"}, JSON | {"transfer-encoding": "chunked"}):
                assert app.request(method, path, content=content, headers=headers).status == status
    assert records.read(record) == record


def test_settings_come_from_the_environment(launch: Any, records: Any, fresh: Any) -> None:
    name = fresh.word()
    size = len(str(records.values()).encode()) * 20
    app = launch(env={"APP_DATABASE_URL": f"sqlite:///./{name}.db", "APP_MAX_BODY_BYTES": str(size)})

    assert app.post(records.path, json=records.values()).status == 201
    assert app.post(records.path, content=b" " * size + b"{}", headers=JSON).status == 413
    assert app.post(records.path, content=b" " * (size - 2) + b"[]", headers=JSON).status == 422
    with pytest.raises(AssertionError):  # SQLite makes files, not directories
        launch(env={"APP_DATABASE_URL": f"sqlite:///./{name}/data.db"})
