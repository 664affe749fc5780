"""Acceptance from inside the candidate's process: what no response can show.

Run with the candidate's root as working directory and the candidate's dependencies.
"""

import ast
import importlib
import re
import secrets
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

ROOT = Path.cwd()
DATABASE = "auth.db"


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Import a module of the candidate's package by its last name."""
    monkeypatch.syspath_prepend(ROOT / "src")
    [main] = (ROOT / "src").glob("*/main.py")
    return lambda name: importlib.import_module(f"{main.parent.name}.{name}")


@pytest.fixture
def create_app(load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Any]:
    """The candidate's factory, with the environment it is judged in."""
    environment = {
        "AUTH_SECRET_KEY": secrets.token_hex(32),
        "AUTH_DATABASE_URL": f"sqlite:///{tmp_path / DATABASE}",
        "AUTH_ARGON2_TIME_COST": "1",
        "AUTH_ARGON2_MEMORY_KIB": "64",
        "AUTH_ARGON2_PARALLELISM": "1",
    }
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    factory: Callable[[], Any] = load("main").create_app
    return factory


@pytest.fixture
def client(create_app: Callable[[], Any]) -> Iterator[Any]:
    with _serve(create_app()) as client:
        yield client


@pytest.fixture
def credentials(client: Any) -> dict[str, str]:
    body = {"email": f"{secrets.token_hex(6)}@example.com", "password": secrets.token_urlsafe(18)}
    assert client.post("/register", json=body).status_code == 201
    return body


def _serve(app: Any) -> Any:
    return importlib.import_module("fastapi.testclient").TestClient(app)


def _stored_bytes(directory: Path) -> bytes:
    return b"".join(path.read_bytes() for path in directory.glob(f"{DATABASE}*"))


def _stored_values(directory: Path) -> list[str]:
    with closing(sqlite3.connect(directory / DATABASE)) as connection:
        tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        rows = [row for (table,) in tables for row in connection.execute(f"SELECT * FROM {table}")]
    return [str(value) for row in rows for value in row]


def _argon2_costs(directory: Path) -> list[str]:
    found = [re.fullmatch(r"\$argon2id\$v=19\$([^$]+)\$.+\$.+", value) for value in _stored_values(directory)]
    return [match[1] for match in found if match]


def test_passwords_are_stored_only_as_argon2id_hashes(credentials: dict[str, str], tmp_path: Path) -> None:
    assert _argon2_costs(tmp_path) == ["m=64,t=1,p=1"]
    assert credentials["email"].encode() in _stored_bytes(tmp_path)
    assert credentials["password"].encode() not in _stored_bytes(tmp_path)


def test_a_login_renews_a_hash_made_with_other_parameters(
    credentials: dict[str, str],
    create_app: Callable[[], Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AUTH_ARGON2_TIME_COST", "2")

    with _serve(create_app()) as upgraded:
        assert upgraded.post("/login", json=credentials).status_code == 200
        assert upgraded.post("/login", json=credentials).status_code == 200

    assert _argon2_costs(tmp_path) == ["m=64,t=2,p=1"]


def test_tokens_are_not_stored_in_clear(client: Any, credentials: dict[str, str], tmp_path: Path) -> None:
    first = client.post("/login", json=credentials).json()
    second = client.post("/refresh", json={"refresh_token": first["refresh_token"]}).json()

    stored = _stored_bytes(tmp_path)
    for token in (first, second):
        assert token["refresh_token"].encode() not in stored
        assert token["access_token"].encode() not in stored


def test_the_service_does_not_start_without_a_strong_secret_key(
    create_app: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for wrong in ("", "short"):
        monkeypatch.setenv("AUTH_SECRET_KEY", wrong)
        with pytest.raises(Exception, match="AUTH_SECRET_KEY"):
            create_app()

    monkeypatch.delenv("AUTH_SECRET_KEY")
    with pytest.raises(Exception, match="AUTH_SECRET_KEY"):
        create_app()


def test_the_stack_is_fastapi_over_sqlalchemy_and_sqlite(
    client: Any, credentials: dict[str, str], tmp_path: Path
) -> None:
    sqlalchemy = importlib.import_module("sqlalchemy")
    statements: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", listen)
    assert client.post("/login", json=credentials).status_code == 200
    sqlalchemy.event.remove(sqlalchemy.engine.Engine, "before_cursor_execute", listen)

    assert isinstance(client.app, importlib.import_module("fastapi").FastAPI)
    assert sqlalchemy.__version__.startswith("2.")
    assert any(statement.startswith("INSERT") for statement in statements)
    assert (tmp_path / DATABASE).read_bytes().startswith(b"SQLite format 3\0")


def test_every_function_of_the_package_is_annotated() -> None:
    trees = [ast.parse(path.read_text()) for path in sorted((ROOT / "src").rglob("*.py"))]
    functions = [node for tree in trees for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]

    assert len(functions) >= 20
    for function in functions:
        arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
        unannotated = [each.arg for each in arguments if each.annotation is None and each.arg not in ("self", "cls")]
        assert unannotated == [], function.name
        assert function.returns is not None, function.name


def test_the_project_brings_tests_that_reach_every_endpoint(client: Any) -> None:
    sources = [path.read_text() for path in sorted((ROOT / "tests").rglob("test_*.py"))]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    constants = {node.value for node in nodes if isinstance(node, ast.Constant)}

    assert len([name for name in functions if name.startswith("test_")]) >= 20
    assert set(client.app.openapi()["paths"]) <= constants


def test_the_readme_names_every_endpoint_and_every_setting(client: Any, load: Callable[[str], Any]) -> None:
    readme = (ROOT / "README.md").read_text()
    settings = [f"AUTH_{field.upper()}" for field in load("settings").Settings.model_fields]

    assert "AUTH_SECRET_KEY" in settings
    for name in [*client.app.openapi()["paths"], *settings]:
        assert f"`{name}`" in readme or f" {name}`" in readme, name
