"""Acceptance from inside the candidate's process: what no response can show.

Run with the candidate's root as working directory and the candidate's dependencies.
"""

import ast
import importlib
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

ROOT = Path.cwd()
DATABASE = "data.db"
FIELDS = "{{ fields }}"
PATH = "/{{ plural }}"
SAMPLES: dict[str, Any] = {
    "text": "text",
    "integer": 17,
    "decimal": "1.5",
    "boolean": True,
    "date": "2030-01-31",
    "datetime": "2030-01-31T09:30:00Z",
    "email": "ada@example.com",
    "url": "https://example.com/",
}


def _kinds() -> dict[str, str]:
    pairs = (part.rstrip("?").split(":") for part in FIELDS.split(","))
    return dict(pairs)


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Any]:
    """Import a module of the candidate's package by its last name."""
    monkeypatch.syspath_prepend(ROOT / "src")
    [main] = (ROOT / "src").glob("*/main.py")
    return lambda name: importlib.import_module(f"{main.parent.name}.{name}")


@pytest.fixture
def create_app(load: Callable[[str], Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[], Any]:
    """The candidate's factory, with the environment it is judged in."""
    monkeypatch.setenv("APP_DATABASE_URL", f"sqlite:///{tmp_path / DATABASE}")
    factory: Callable[[], Any] = load("main").create_app
    return factory


@pytest.fixture
def client(create_app: Callable[[], Any]) -> Iterator[Any]:
    with importlib.import_module("fastapi.testclient").TestClient(create_app()) as client:
        yield client


def test_the_service_does_not_start_with_a_wrong_setting(
    create_app: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, wrong in (
        ("APP_DATABASE_URL", "postgresql://localhost/app"),
        ("APP_DATABASE_URL", "sqlite:///:memory:"),
        ("APP_MAX_BODY_BYTES", "0"),
        ("APP_MAX_BODY_BYTES", "many"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, wrong)
            with pytest.raises(Exception, match=name):
                create_app()
    create_app()


def test_the_stack_is_fastapi_over_sqlalchemy_and_sqlite(client: Any, tmp_path: Path) -> None:
    sqlalchemy = importlib.import_module("sqlalchemy")
    statements: list[str] = []

    def listen(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        statements.append(statement)

    sqlalchemy.event.listen(sqlalchemy.engine.Engine, "before_cursor_execute", listen)
    values = {name: SAMPLES[kind] for name, kind in _kinds().items()}
    response = client.post(PATH, json=values)
    sqlalchemy.event.remove(sqlalchemy.engine.Engine, "before_cursor_execute", listen)

    assert response.status_code == 201
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


def test_the_project_brings_tests_that_reach_every_endpoint_and_field(client: Any) -> None:
    sources = [path.read_text() for path in sorted((ROOT / "tests").rglob("*.py"))]
    nodes = [node for source in sources for node in ast.walk(ast.parse(source))]
    functions = {node.name for node in nodes if isinstance(node, ast.FunctionDef)}
    constants = {node.value for node in nodes if isinstance(node, ast.Constant)}

    assert len([name for name in functions if name.startswith("test_")]) >= 20
    assert set(client.app.openapi()["paths"]) <= constants
    assert set(_kinds()) <= constants


def test_the_readme_names_every_endpoint_field_parameter_and_setting(client: Any, load: Callable[[str], Any]) -> None:
    readme = (ROOT / "README.md").read_text()
    settings = [f"APP_{field.upper()}" for field in load("settings").Settings.model_fields]
    paths = client.app.openapi()["paths"]
    parameters = [each["name"] for each in paths[PATH]["get"]["parameters"]]

    assert "APP_DATABASE_URL" in settings
    for name in [*paths, *parameters, *settings, *_kinds()]:
        assert f"`{name}`" in readme or f" {name}`" in readme, name
    for name, kind in _kinds().items():
        assert f"| `{name}` | {kind} |" in readme
    assert json.dumps(next(iter(_kinds()))) in readme
