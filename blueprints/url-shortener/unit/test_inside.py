"""Acceptance from inside the candidate's process: what no response can show.

Run with the candidate's root as working directory and the candidate's dependencies.
"""

import ast
import hmac
import importlib
import logging
import random
import secrets
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path.cwd()
DATABASE = "links.db"
TOKEN = secrets.token_hex(32)
BEARER = {"Authorization": f"Bearer {TOKEN}"}


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Import a module of the candidate's package by its last name."""
    monkeypatch.syspath_prepend(ROOT / "src")
    [main] = (ROOT / "src").glob("*/main.py")
    return lambda name: importlib.import_module(f"{main.parent.name}.{name}")


@pytest.fixture
def create_app(load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Any]:
    """The candidate's factory, with the environment it is judged in."""
    environment = {
        "SHORTENER_API_TOKEN": TOKEN,
        "SHORTENER_BASE_URL": "https://short.example",
        "SHORTENER_DATABASE_URL": f"sqlite:///{tmp_path / DATABASE}",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    factory: Callable[..., Any] = load("main").create_app
    return factory


@pytest.fixture
def client(create_app: Callable[..., Any]) -> Iterator[Any]:
    with _serve(create_app()) as client:
        yield client


def _serve(app: Any) -> Any:
    return importlib.import_module("fastapi.testclient").TestClient(app, follow_redirects=False)


def _create(client: Any, url: str = "https://example.com/", **more: Any) -> str:
    response = client.post("/links", json={"url": url, **more}, headers=BEARER)
    assert response.status_code == 201
    code: str = response.json()["code"]
    return code


def test_the_service_does_not_start_with_a_missing_or_wrong_setting(
    create_app: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, wrong in (
        ("SHORTENER_API_TOKEN", ""),
        ("SHORTENER_API_TOKEN", TOKEN[:31]),
        ("SHORTENER_BASE_URL", ""),
        ("SHORTENER_BASE_URL", "short.example"),
        ("SHORTENER_BASE_URL", "https://short.example/path"),
        ("SHORTENER_DATABASE_URL", "sqlite:///:memory:"),
        ("SHORTENER_DENIED_HOSTS", "https://evil.example/"),
        ("SHORTENER_CODE_LENGTH", "7"),
        ("SHORTENER_MAX_URL_LENGTH", "many"),
        ("SHORTENER_MAX_BODY_BYTES", "0"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, wrong)
            with pytest.raises(Exception, match=name) as refusal:
                create_app()
            assert TOKEN[:31] not in str(refusal.value)
    create_app()


def test_nothing_of_a_visitor_is_stored_or_logged(
    create_app: Callable[..., Any], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    names = ("User-Agent", "Referer", "Cookie", "X-Forwarded-For", "X-Real-IP", "Forwarded", "Accept-Language")
    traces = {name: f"trace-{secrets.token_hex(8)}" for name in names}
    query = f"trace-{secrets.token_hex(8)}"

    with _serve(create_app()) as client:
        code = _create(client)
        assert client.get(f"/{code}?{query}", headers=traces).status_code == 307
        assert client.get(f"/links/{code}", headers=BEARER).json()["clicks"] == 1
        kept = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    kept += [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    own = [record for record in caplog.records if not record.name.startswith(("httpx", "httpcore"))]

    assert any(b"SQLite format 3" in each for each in kept)
    for trace in (*traces.values(), query, "testclient"):
        assert not any(trace.encode() in each for each in kept)
        assert not any(trace in record.getMessage() for record in own)


def test_codes_come_from_the_operating_systems_entropy(load: Callable[[str], Any]) -> None:
    state = random.getstate()
    made: list[str] = []
    for _ in range(5):
        random.seed(17)
        made.append(load("codes").new_code(10))
    random.setstate(state)

    assert len(set(made)) == 5


def test_a_code_that_is_taken_is_drawn_again(create_app: Callable[..., Any]) -> None:
    draws = iter(["firstfirst", "firstfirst", "firstfirst", "second2222"])

    with _serve(create_app(new_code=lambda _length: next(draws))) as client:
        codes = [_create(client, "https://one.example/"), _create(client, "https://two.example/")]
        assert codes == ["firstfirst", "second2222"]
        assert client.get("/firstfirst").headers["location"] == "https://one.example/"


def test_clicks_are_kept_apart_by_day(create_app: Callable[..., Any]) -> None:
    now = [datetime(2030, 1, 31, 23, 59, 59, tzinfo=UTC)]
    with _serve(create_app(clock=lambda: now[0])) as client:
        code = _create(client)
        for clicks, seconds in ((2, 1), (3, 86_400), (1, 0)):
            for _ in range(clicks):
                client.get(f"/{code}")
            now[0] += timedelta(seconds=seconds)

        shown = [
            client.get(f"/links/{code}/statistics?days={days}", headers=BEARER).json()["days"] for days in (4, 2, 1)
        ]

    counts = [("2030-01-30", 0), ("2030-01-31", 2), ("2030-02-01", 3), ("2030-02-02", 1)]
    expected = [{"date": day, "clicks": clicks} for day, clicks in counts]
    assert shown == [expected, expected[-2:], expected[-1:]]


def test_an_expiry_holds_to_the_moment(create_app: Callable[..., Any]) -> None:
    now = [datetime(2030, 1, 1, tzinfo=UTC)]
    with _serve(create_app(clock=lambda: now[0])) as client:
        code = _create(client, expires_at="2030-01-01T02:00:00+01:00")
        statuses: list[int] = []
        for seconds in (3599.999999, 0.000001, 1):
            now[0] += timedelta(seconds=seconds)
            statuses.append(client.get(f"/{code}").status_code)

        listed = client.get("/links?state=expired", headers=BEARER).json()["links"]
        clicks = client.get(f"/links/{code}", headers=BEARER).json()["clicks"]

    assert statuses == [307, 410, 410]
    assert ([each["code"] for each in listed], clicks) == ([code], 1)


def test_a_host_that_is_denied_later_stops_its_links(
    create_app: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with _serve(create_app()) as client:
        bad, good = _create(client, "https://very.evil.example/"), _create(client)
    monkeypatch.setenv("SHORTENER_DENIED_HOSTS", "evil.example")

    with _serve(create_app()) as client:
        assert [client.get(f"/{code}").status_code for code in (bad, good)] == [410, 307]


def test_a_deletion_erases_the_destination(create_app: Callable[..., Any], tmp_path: Path) -> None:
    sqlite3 = importlib.import_module("sqlite3")
    with _serve(create_app()) as client:
        code = _create(client, f"https://example.com/{TOKEN}")
        client.get(f"/{code}")
        assert client.delete(f"/links/{code}", headers=BEARER).status_code == 204

    connection = sqlite3.connect(tmp_path / DATABASE)
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    rows = {name: connection.execute(f'SELECT * FROM "{name}"').fetchall() for name in tables}
    connection.close()
    assert TOKEN not in str(rows)
    assert rows["daily_clicks"] == []


def test_the_token_is_compared_in_constant_time(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[Any, Any]] = []
    compare = hmac.compare_digest

    def spy(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    monkeypatch.setattr(secrets, "compare_digest", spy)
    assert client.get("/links", headers={"Authorization": f"Bearer {TOKEN[:-1]}x"}).status_code == 401
    assert client.get("/links", headers=BEARER).status_code == 200
    assert len(compared) == 2


def test_the_stack_is_fastapi_over_sqlalchemy_and_sqlite_which_syncs_every_commit(
    create_app: Callable[..., Any], tmp_path: Path
) -> None:
    sqlalchemy = importlib.import_module("sqlalchemy")
    statements: list[str] = []
    levels: set[int] = set()

    def listen(connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)
        levels.add(connection.connection.execute("PRAGMA synchronous").fetchone()[0])

    app = create_app()
    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", listen)
    with _serve(app) as client:
        _create(client)
    sqlalchemy.event.remove(sqlalchemy.engine.Engine, "before_cursor_execute", listen)

    assert isinstance(app, importlib.import_module("fastapi").FastAPI)
    assert sqlalchemy.__version__.startswith("2.")
    assert any(statement.startswith("INSERT") for statement in statements)
    assert levels
    assert levels <= {2, 3}  # FULL or EXTRA
    assert (tmp_path / DATABASE).read_bytes().startswith(b"SQLite format 3\0")


def test_every_function_of_the_package_is_annotated() -> None:
    trees = [ast.parse(path.read_text()) for path in sorted((ROOT / "src").rglob("*.py"))]
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, kinds)]

    assert len(functions) >= 20
    for function in functions:
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        unannotated = [each.arg for each in arguments if each.annotation is None and each.arg not in ("self", "cls")]
        assert unannotated == [], function.name
        assert function.returns is not None, function.name


def test_the_project_brings_tests_that_reach_every_endpoint(client: Any) -> None:
    sources = [path.read_text() for path in sorted((ROOT / "tests").rglob("*.py"))]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    constants = {node.value for node in nodes if isinstance(node, ast.Constant)}

    assert len([name for name in functions if name.startswith("test_")]) >= 20
    assert set(client.app.openapi()["paths"]) <= constants


def test_the_readme_names_every_endpoint_and_every_setting(client: Any, load: Callable[[str], Any]) -> None:
    readme = (ROOT / "README.md").read_text()
    settings = [f"SHORTENER_{field.upper()}" for field in load("settings").Settings.model_fields]

    assert "SHORTENER_API_TOKEN" in settings
    for name in [*client.app.openapi()["paths"], *settings]:
        assert f"`{name}`" in readme or f" {name}`" in readme, name
