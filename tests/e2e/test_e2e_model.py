"""With a language model: "Create auth system" on a new and on an existing repository, first wrong, then right.

The model is a script, spoken by a strict local server of the Messages API in a process of its own; everything else is
the real stack. What the tasks say that they cost must be what that server has in its books, to the token.
"""

import json
import subprocess
from pathlib import Path

import pytest
from worksite.common.llm import Reply, Script
from worksite.common.llm.scripted import Conversation
from worksite.common.testing.messages_api.api import TEST_KEY
from worksite.common.testing.scripting import costs_agree, provider, reviewed, said, used

pytestmark = [pytest.mark.proof, pytest.mark.timeout(400)]

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
        "packages": [],
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


@pytest.fixture(scope="module")
def billing(tmp_path_factory):
    with provider(tmp_path_factory.mktemp("provider"), script()) as running:
        yield running


@pytest.fixture(scope="module")
def thinking(start_stack, billing, tmp_path_factory):
    settings = {"ANTHROPIC_API_KEY": TEST_KEY, "ANTHROPIC_BASE_URL": billing.url}
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
    thinking, billing, tmp_path, project
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
    books = billing.books()
    costs_agree(json.loads((out / "cost.json").read_text()), books)
    assert any(usage.cache_read_tokens for _, usage in books)
    history = subprocess.run(
        ["git", "-C", out / "project", "log", "--format=%s"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    assert len(history) == 2, "one commit on top of the base, however many rounds it took"
    log = (thinking.state.parent / "up.log").read_text()
    assert "was checked: project-tests pass, lint pass" in log, "the builder had its work checked on the way"


def test_the_key_is_in_no_log_and_with_no_process_that_calls_no_model(thinking):
    assert TEST_KEY not in (thinking.state.parent / "up.log").read_text()
    for program in ("gateway", "rag", "nats"):
        environment = Path(f"/proc/{thinking.pid(program)}/environ").read_bytes()
        assert TEST_KEY.encode() not in environment, program
    assert TEST_KEY.encode() in Path(f"/proc/{thinking.pid('builder')}/environ").read_bytes()
