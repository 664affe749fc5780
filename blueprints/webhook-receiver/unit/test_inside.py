"""Acceptance from inside the candidate's process: what no response can show.

Run with the candidate's root as working directory and the candidate's dependencies.
"""

import ast
import base64
import hashlib
import hmac
import importlib
import json
import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

ROOT = Path.cwd()
DATABASE = "webhooks.db"
KEY = secrets.token_bytes(32)
SECRET = "whsec_" + base64.b64encode(KEY).decode()
TOKEN = secrets.token_hex(32)


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
        "WEBHOOK_SECRETS": json.dumps({"billing": [SECRET]}),
        "WEBHOOK_ADMIN_TOKEN": TOKEN,
        "WEBHOOK_DATABASE_URL": f"sqlite:///{tmp_path / DATABASE}",
        "WEBHOOK_POLL_SECONDS": "0.01",
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
    return importlib.import_module("fastapi.testclient").TestClient(app)


def _send(client: Any, delivery_id: str, body: bytes = b"{}", at: datetime | None = None) -> Any:
    stamp = int(at.timestamp() if at else time.time())
    digest = hmac.digest(KEY, f"{delivery_id}.{stamp}.".encode() + body, hashlib.sha256)
    headers = {
        "webhook-id": delivery_id,
        "webhook-timestamp": str(stamp),
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }
    response = client.post("/webhooks/billing", content=body, headers=headers)
    assert response.status_code == 202
    return response


def _listed(client: Any) -> list[dict[str, Any]]:
    deliveries: list[dict[str, Any]] = client.get("/deliveries", headers={"Authorization": f"Bearer {TOKEN}"}).json()[
        "deliveries"
    ]
    return deliveries


def _until_handled(client: Any) -> list[dict[str, Any]]:
    end = time.monotonic() + 20
    while any(each["state"] != "handled" for each in _listed(client)):
        assert time.monotonic() < end, "a delivery was never handled"
        time.sleep(0.01)
    return _listed(client)


def test_the_service_does_not_start_with_a_missing_or_wrong_setting(
    create_app: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, wrong in (
        ("WEBHOOK_SECRETS", ""),
        ("WEBHOOK_SECRETS", SECRET),
        ("WEBHOOK_SECRETS", "{}"),
        ("WEBHOOK_SECRETS", '{"billing": []}'),
        ("WEBHOOK_SECRETS", json.dumps({"billing": ["whsec_" + base64.b64encode(bytes(23)).decode()]})),
        ("WEBHOOK_SECRETS", json.dumps({"billing": [SECRET.removeprefix("whsec_")]})),
        ("WEBHOOK_SECRETS", json.dumps({"billing": [SECRET], "shop": [SECRET]})),
        ("WEBHOOK_ADMIN_TOKEN", ""),
        ("WEBHOOK_ADMIN_TOKEN", TOKEN[:31]),
        ("WEBHOOK_DATABASE_URL", "sqlite:///:memory:"),
        ("WEBHOOK_MAX_ATTEMPTS", "0"),
        ("WEBHOOK_HANDLER", "no_such_module_here:create_handler"),
        ("WEBHOOK_RETENTION_SECONDS", "1"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, wrong)
            with pytest.raises(Exception, match=name) as refusal:
                create_app()
            assert SECRET not in str(refusal.value)
    create_app()


def test_deliveries_go_to_the_handler_that_the_setting_names(
    create_app: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = f"owner_{secrets.token_hex(4)}"
    source = "\n".join(
        (
            "given = []",
            "def build():",
            "    async def handle(webhook):",
            "        given.append(webhook)",
            "        return 'order 17'",
            "    return handle",
        )
    )
    (tmp_path / f"{module}.py").write_text(source)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("WEBHOOK_HANDLER", f"{module}:build")

    with _serve(create_app()) as client:
        _send(client, "msg_1", b"\x00\xff")
        [delivery] = _until_handled(client)

    [webhook] = importlib.import_module(module).given
    assert delivery["result"] == "order 17"
    assert (webhook.source, webhook.delivery_id, webhook.body) == ("billing", "msg_1", b"\x00\xff")
    assert (webhook.idempotency_key, webhook.attempt) == ("billing/msg_1", 1)


def test_signatures_are_compared_in_constant_time(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    compared: list[tuple[Any, Any]] = []
    compare = hmac.compare_digest

    def spy(one: Any, other: Any) -> bool:
        compared.append((one, other))
        return compare(one, other)

    monkeypatch.setattr(hmac, "compare_digest", spy)
    _send(client, "msg_1")
    wrong = {"webhook-id": "msg_2", "webhook-timestamp": str(int(time.time())), "webhook-signature": "v1,AAAA"}
    assert client.post("/webhooks/billing", content=b"{}", headers=wrong).status_code == 401
    assert len(compared) == 2

    _listed(client)
    assert len(compared) == 3


def test_what_was_handled_is_forgotten_after_the_retention(create_app: Callable[..., Any]) -> None:
    now = [datetime(2030, 1, 1, tzinfo=UTC)]
    with _serve(create_app(clock=lambda: now[0])) as client:
        _send(client, "msg_1", at=now[0])
        _until_handled(client)
        now[0] += timedelta(days=29)
        _send(client, "msg_2", at=now[0])
        assert [each["delivery_id"] for each in _until_handled(client)] == ["msg_2", "msg_1"]

        now[0] += timedelta(days=2)
        _send(client, "msg_3", at=now[0])
        assert [each["delivery_id"] for each in _until_handled(client)] == ["msg_3", "msg_2"]


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
        _send(client, "msg_1")
        _until_handled(client)
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
    settings = [f"WEBHOOK_{field.upper()}" for field in load("settings").Settings.model_fields]

    assert "WEBHOOK_SECRETS" in settings
    for name in [*client.app.openapi()["paths"], *settings]:
        assert f"`{name}`" in readme or f" {name}`" in readme, name
