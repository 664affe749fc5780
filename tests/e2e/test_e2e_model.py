"""With a language model: "Create auth system" on a new and on an existing repository, first wrong, then right.

The model is a script, spoken by a strict local server of the Messages API in a process of its own; everything else is
the real stack. What the tasks say that they cost must be what that server has in its books, to the token.
"""

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from worksite.common.llm import Prices, Reply, Script, Text, ToolUse, Usage
from worksite.common.llm.pricing import micro_usd
from worksite.common.llm.scripted import Conversation
from worksite.common.testing.messages_api.api import TEST_KEY

pytestmark = pytest.mark.timeout(400)

REQUEST = "Create auth system"
AUTH = '''"""Accounts and sessions, kept in memory."""

import hashlib
import json
import secrets

ACCOUNTS = {}
SESSIONS = {}


def _hashed(password, salt):
    return hashlib.scrypt(password.encode(), salt=salt, n=2**10, r=8, p=1)


def register(email, password):
    if email in ACCOUNTS:
        return 409, {"error": "taken"}
    salt = secrets.token_bytes(16)
    ACCOUNTS[email] = salt, _hashed(password, salt)
    return 201, {"email": email}


def log_in(email, password):
    if email not in ACCOUNTS:
        return 401, {"error": "unknown"}
    token = secrets.token_urlsafe(16)
    SESSIONS[token] = email
    return 200, {"token": token}


ROUTES = {"/register": register, "/login": log_in}


async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    event = await receive()
    handler = ROUTES.get(scope["path"])
    status, answer = handler(**json.loads(event["body"])) if handler else (404, {"error": "nothing here"})
    await send({"type": "http.response.start", "status": status, "headers": [(b"content-type", b"application/json")]})
    await send({"type": "http.response.body", "body": json.dumps(answer).encode()})
'''
FORGOTTEN = "    if email not in ACCOUNTS:\n        return 401"
MENDED = (
    "    salt, known = ACCOUNTS.get(email, (b'', b''))\n"
    "    if not secrets.compare_digest(known, _hashed(password, salt)):\n        return 401"
)
OWN_TEST = """from auth import log_in, register


def test_who_registered_can_log_in():
    assert register("ada@example.org", "correct horse")[0] == 201
    assert log_in("ada@example.org", "correct horse")[0] == 200
"""
ACCEPTANCE_TEST = """def test_who_registered_can_log_in(app, fresh):
    who = {"email": fresh.email(), "password": fresh.password()}
    assert app.post("/register", json=who).status == 201
    assert app.post("/login", json=who).json()["token"]


def test_a_wrong_password_is_refused(app, fresh):
    who = {"email": fresh.email(), "password": fresh.password()}
    assert app.post("/register", json=who).status == 201
    assert app.post("/login", json=who | {"password": fresh.password()}).status == 401
"""
REMARK = {
    "path": "auth.py", "line": 8, "quote": "ACCOUNTS = {}", "severity": "low", "message": "All is lost at the end.",
}  # fmt: skip
CRITERIA = [
    ("logs-in", "Who registered can log in.", "test_who_registered_can_log_in"),
    ("refuses-wrong-passwords", "A wrong password is answered with 401.", "test_a_wrong_password_is_refused"),
]


def said(data: dict[str, Any], action: str, agent: str) -> Reply:
    return Reply.saying(json.dumps({"action": action, "agent": agent, "status": "ok", "data": data}))


def reviewed(*remarks: dict[str, Any]) -> Reply:
    return said({"type": "reviewed", "findings": remarks}, "validate", "validator")


def used(*uses: tuple[str, dict[str, Any]]) -> Reply:
    """Ids must differ within one turn only, and here they say what is used."""
    parts = [ToolUse(id=f"toolu_{n}_{name}", name=name, input=given) for n, (name, given) in enumerate(uses)]
    return Reply(content=(Text(text="I look and write."), *parts))


def design() -> Reply:
    path = "acceptance/test_auth.py"
    draft = {
        "type": "draft",
        "title": "Accounts with passwords",
        "decisions": [{"title": "Storage", "choice": "In memory.", "reason": "Nothing else was asked for."}],
        "constraints": ["The standard library only."],
        "interfaces": [{"name": "POST /register", "summary": "email, password"}],
        "files": [{"path": "auth.py", "purpose": "all of it"}],
        "criteria": [
            {"id": id_, "statement": text, "grade": "verified_io", "test": f"{path}::{test}"}
            for id_, text, test in CRITERIA
        ],
        "tests": [{"path": path, "content": ACCEPTANCE_TEST}],
        "harness": {"target": "auth:app", "factory": False, "import_roots": ["."], "env": []},
        "removed_tests": [],
    }  # fmt: skip
    return said(draft, "design", "architect")


def script() -> Script:
    built = said({"type": "built", "summary": "Accounts, with passwords."}, "build", "builder")
    files = {"auth.py": AUTH, "tests/test_auth.py": OWN_TEST}
    write = [("write_file", {"path": path, "content": text}) for path, text in files.items()]
    mend = ("edit_file", {"path": "auth.py", "old": FORGOTTEN, "new": MENDED})
    look, again, check = ("read_file", {"path": "README.md"}), ("read_file", {"path": "auth.py"}), ("check_syntax", {})
    first = (used(*write), used(check, ("run_checks", {})), built)
    second = (used(again), used(mend, check), built)
    replies = {
        "Design for route feature, a new project": (design(),),
        "Build round 1, a new project": first,
        "Build round 2, a new project": second,
        "Design for route feature, an existing project": (used(look), design()),
        "Build round 1, an existing project": (used(look), *first),
        "Build round 2, an existing project": second,
        "Review of round 1.": (reviewed(REMARK),),
        "Review of round 2.": (reviewed(),),
    }
    return Script(conversations=tuple(Conversation(opening=o, replies=r) for o, r in replies.items()))


@dataclass
class Provider:
    """The server, and its books since it was last asked."""

    process: subprocess.Popen[str]
    url: str
    log: Path
    told: int = 0

    def books(self) -> list[tuple[str, Usage]]:
        lines = self.log.read_text().splitlines()[1:]
        new, self.told = lines[self.told :], len(lines)
        return [(line["model"], Usage.model_validate(line["usage"])) for line in map(json.loads, new)]


@pytest.fixture(scope="module")
def provider(tmp_path_factory) -> Iterator[Provider]:
    folder = tmp_path_factory.mktemp("provider")
    (folder / "script.json").write_text(script().model_dump_json())
    command = [sys.executable, "-m", "worksite.common.testing.messages_api", str(folder / "script.json")]
    with (folder / "books").open("w") as books, subprocess.Popen(command, stdout=books, text=True) as process:
        try:
            while not (lines := (folder / "books").read_text().splitlines()):
                assert process.poll() is None
            yield Provider(process, lines[0], folder / "books")
        finally:
            process.terminate()


@pytest.fixture(scope="module")
def thinking(start_stack, provider, tmp_path_factory):
    settings = {"ANTHROPIC_API_KEY": TEST_KEY, "ANTHROPIC_BASE_URL": provider.url}
    with start_stack(tmp_path_factory.mktemp("thinking"), settings) as stack:
        yield stack


def existing(folder: Path) -> str:
    """A repository of somebody's, with a test of its own."""
    (folder / "tests").mkdir(parents=True)
    (folder / "README.md").write_text("# Shop\n")
    (folder / "shop.py").write_text("def total(prices):\n    return sum(prices)\n")
    (folder / "tests" / "test_shop.py").write_text(
        "from shop import total\n\n\ndef test_total():\n    assert total([1, 2]) == 3\n"
    )
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "shop"]):
        subprocess.run(["git", *identity, *arguments], cwd=folder, check=True)
    return f"file://{folder}"


@pytest.mark.parametrize("project", ["new", "existing"])
def test_an_auth_system_is_wrong_in_round_1_repaired_in_round_2_and_costs_what_the_provider_billed(
    thinking, provider, tmp_path, project
):
    options = ["--git-url", existing(tmp_path / "shop")] if project == "existing" else []
    done = thinking.run(REQUEST, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    out = Path(done.stdout.splitlines()[-1].partition("out=")[2])

    report = json.loads((out / "report.json").read_text())
    assert (report["verdict"], report["round"]) == ("PASS", 2)
    assert {(c["id"], c["grade"]) for c in report["criteria"]} == {(id_, "verified_io") for id_, _, _ in CRITERIA}
    review = next(check for check in report["checks"] if check["name"] == "review")
    assert review["evidence"].startswith("0 remarks of a language model, which no verdict rests on (model:")
    engine = json.loads((out / "spec.json").read_text())["engine"]
    assert engine.startswith("model:claude-sonnet-5-5+architect@")
    costs_agree(json.loads((out / "cost.json").read_text()), provider.books())
    history = subprocess.run(
        ["git", "-C", out / "project", "log", "--format=%s"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(history) == 2, "one commit on top of the base, however many rounds it took"
    log = (thinking.state.parent / "up.log").read_text()
    assert "was checked: project-tests pass, lint pass" in log, "the builder had its work checked on the way"


def costs_agree(cost: dict[str, Any], books: list[tuple[str, Usage]]) -> None:
    """Token by token, class by class; and in dollars, by the prices of today."""
    told, billed = Counter[str](), Counter[str]()
    for use in (use for step in cost["steps"] for use in step["models"]):
        told.update(use["input_tokens"] | {"output": use["output_tokens"], "calls": use["calls"]})
    for _, usage in books:
        billed.update({
            "uncached": usage.input_tokens, "cached": usage.cache_read_tokens, "output": usage.output_tokens,
            "written_5m": usage.cache_write_5m_tokens, "written_1h": usage.cache_write_1h_tokens, "calls": 1,
        })  # fmt: skip
    assert told == billed
    assert billed["cached"] > 0
    prices = Prices.shipped(datetime.now(UTC).date())
    assert round(cost["total_usd"] * 1e6) == sum(micro_usd(prices.cost(model, usage)) for model, usage in books)


def test_the_key_is_in_no_log_and_with_no_process_that_calls_no_model(thinking):
    assert TEST_KEY not in (thinking.state.parent / "up.log").read_text()
    for program in ("gateway", "rag", "nats"):
        environment = Path(f"/proc/{thinking.pid(program)}/environ").read_bytes()
        assert TEST_KEY.encode() not in environment, program
    assert TEST_KEY.encode() in Path(f"/proc/{thinking.pid('builder')}/environ").read_bytes()
