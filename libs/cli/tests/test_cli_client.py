"""What the command says and how it exits."""

import asyncio
import io
import subprocess
from pathlib import Path

import httpx
import pytest
from rich.console import Console
from typer.testing import CliRunner
from worksite.cli.client import output, verdict
from worksite.cli.client.access import Access, NoAccess
from worksite.cli.client.display import Display, Progress
from worksite.cli.client.events import Event
from worksite.cli.client.repeating import transport
from worksite.cli.commands_tasks import Submission
from worksite.cli.main import app
from worksite.cli.session import Screen, Session, StackOptions, on_some_stack
from worksite.cli.stack.embedded import Ports
from worksite.common.processes import free_port


def view(status, outcome=None, **more):
    return {"id": "t1", "status": status, "verdict": outcome, "reason": None, "question": None} | more


@pytest.mark.parametrize(
    ("shown", "word", "code"),
    [
        (view("completed", "PASS"), "PASS", 0),
        (view("completed", "FAIL"), "FAIL", 1),
        (view("completed", "ENVIRONMENT"), "ENVIRONMENT", 4),
        (view("completed"), "DONE", 0),
        (view("failed"), "FAIL", 1),
        (view("failed", "PASS"), "FAIL", 1),
        (view("cancelled"), "CANCELLED", 1),
        (view("needs_input"), "NEEDS_INPUT", 3),
        (view("needs_input", "PASS"), "NEEDS_INPUT", 3),
    ],
)
def test_the_last_line_and_the_exit_code(shown, word, code):
    assert verdict.conclusion(shown, Path("out/t1")) == (f"{word} task=t1 out=out/t1", code)


def test_needs_input_explains_what_is_covered_and_what_is_not():
    question = {"reason": "more than is covered", "covered": ["login"], "missing": ["oauth"], "hint": "ask for less"}
    lines = verdict.explanation(view("needs_input", question=question))
    assert lines[0] == "more than is covered"
    assert any("oauth" in line and "not covered" in line for line in lines)


def test_a_submission_sends_only_what_was_given():
    assert Submission("do it").body() == {"request": "do it"}
    assert Submission("x", git_url="https://h/r.git", ref="main").body()["project"] == {
        "git_url": "https://h/r.git",
        "ref": "main",
    }


def state(status="running", step="1-import", history=()):
    return Event(1, "admin", "task", "state", {"status": status, "step": step, "round": 0, "history": list(history)})


RECORD = {
    "step": "1-import", "agent": "builder", "round": 0, "status": "ok", "summary": "empty project", "engine": "git",
    "started_at": "2026-11-22T12:00:00Z", "finished_at": "2026-11-22T12:00:01.5Z", "cost_usd": 0,
}  # fmt: skip


def test_a_finished_step_is_reported_once_with_its_time():
    progress = Progress()
    progress.apply(state(), 0)
    line = progress.apply(state(step="2-design", history=[RECORD]), 1)
    assert line == "1-import: ok (git, 1.5 s) empty project"
    assert progress.apply(state(step="2-design", history=[RECORD]), 2) is None


def building(**steps):
    """Packages by name, each with the step that builds it."""
    event = state(step=None, history=[RECORD])
    return Event(
        1, "admin", "task", "state", event.body | {"packages": [{"id": n, "step": s} for n, s in steps.items()]}
    )


def test_packages_that_are_built_side_by_side_are_told_apart():
    progress = Progress()
    progress.apply(building(api="3-build", pages="4-build", docs=None), 0)

    said = [
        progress.apply(Event(2, "builder", step, "progress", {"text": "writing"}), 1) for step in ("4-build", "3-build")
    ]
    line = progress.apply(state(step=None, history=[RECORD, RECORD | {"step": "4-build"}]), 2)

    assert said == ["4-build pages: writing", "3-build api: writing"]
    assert line == "4-build pages: ok (git, 1.5 s) empty project"


def test_every_step_in_flight_has_a_spinner():
    console = Console(record=True, force_terminal=True, width=120)
    with Display(console, "task t1") as display:
        display.show(building(api="3-build", pages="4-build"))
        display.show(Event(2, "builder", "3-build", "progress", {"text": "writing"}))
    text = console.export_text()
    assert "3-build api: writing" in text
    assert "4-build pages: working" in text


def test_a_step_that_is_taken_away_does_not_seem_to_go_on():
    progress = Progress()
    progress.apply(building(api="3-build", pages="4-build"), 10)

    progress.apply(state("failed", step=None, history=[RECORD, RECORD | {"step": "3-build", "status": "failed"}]), 14)

    row = progress.rows["4-build"]
    assert (row.status, row.seconds) == ("taken away", 4)


@pytest.mark.parametrize("kind", ["cancel", "result", "input"])
def test_what_is_no_progress_is_told_by_the_state_that_follows_it(kind):
    progress = Progress()

    assert progress.apply(Event(1, "gateway", "task", kind, {}), 0) is None
    assert progress.rows == {}


def test_without_a_terminal_progress_is_lines():
    console = Console(record=True, force_terminal=False, width=200)
    with Display(console, "task t1") as display:
        display.show(Event(1, "builder", "1-import", "progress", {"text": "[cloning]"}))
    assert "1-import: [cloning]" in console.export_text()


def test_on_a_terminal_the_table_shows_step_engine_and_cost():
    console = Console(record=True, force_terminal=True, width=120)
    with Display(console, "task t1") as display:
        display.show(state(history=[RECORD], step="2-design"))
    text = console.export_text()
    assert "1-import" in text
    assert "$0.0000" in text


def test_without_a_stack_the_error_says_how_to_start_one(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKSITE_URL", raising=False)
    with pytest.raises(NoAccess, match="worksite up"):
        Access.find(tmp_path)


def test_a_command_without_a_stack_ends_with_one_line(tmp_path, monkeypatch):
    monkeypatch.delenv("WORKSITE_URL", raising=False)
    result = CliRunner().invoke(app, ["submit", "x", "--state", str(tmp_path)])
    assert result.exit_code == 1
    assert result.output.count("\n") == 1
    assert "no stack is running" in result.output


def test_a_wrong_root_is_a_usage_error(tmp_path):
    result = CliRunner().invoke(app, ["run", "x", "--root", str(tmp_path), "--state", str(tmp_path)])
    assert result.exit_code == 2
    assert "blueprints" in result.output


def test_an_answer_is_shown_and_kept():
    answered = view("completed", answer={"text": "> quoted\n>\n> — docs/a.md:1-2"}, reason="The question is answered.")
    assert verdict.explanation(answered)[0] == "> quoted"
    assert verdict.documents(answered) == {"answer.md": "> quoted\n>\n> — docs/a.md:1-2\n"}


@pytest.mark.asyncio
@pytest.mark.parametrize("branch", ["worksite/t1", "main"])
async def test_a_bundle_is_checked_out_at_its_branch_whatever_its_name(tmp_path, branch):
    git(tmp_path, "init", "-q", "-b", branch, "source")
    git(tmp_path / "source", "commit", "-q", "--allow-empty", "-m", "x")
    git(tmp_path / "source", "bundle", "create", "-q", "../branch.bundle", "HEAD", branch)
    assert await output.check_out(tmp_path) is None
    assert git(tmp_path / "project", "branch", "--show-current") == branch
    assert git(tmp_path / "project", "remote") == ""


@pytest.mark.asyncio
async def test_a_checked_out_branch_that_is_out_of_date_is_left_as_it_is_and_that_is_said(tmp_path):
    git(tmp_path, "init", "-q", "-b", "main", "source")
    for message in ("first", "second"):
        git(tmp_path / "source", "commit", "-q", "--allow-empty", "-m", message)
        git(tmp_path / "source", "bundle", "create", "-q", "../branch.bundle", "HEAD", "main")
        said = await output.check_out(tmp_path)
    assert said == "project/ is of an earlier round and was left as it is"
    assert git(tmp_path / "project", "log", "--format=%s") == "first"


@pytest.mark.asyncio
async def test_a_bundle_that_is_none_is_a_reason_not_an_error(tmp_path):
    (tmp_path / "branch.bundle").write_text("no bundle")
    assert await output.check_out(tmp_path)


def git(directory, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
    done = subprocess.run(["git", *identity, *arguments], cwd=directory, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_state_of_somebody_elses_is_one_line_for_commands_that_would_start_a_stack(tmp_path):
    (tmp_path / "theirs").write_text("")
    done = CliRunner().invoke(app, ["run", "Create auth system", "--state", str(tmp_path)])
    assert done.exit_code == 1
    assert "holds other things" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("command", [["tasks", "--status", "foo"], ["search", "x", "--mode", "foo"]])
def test_a_value_out_of_range_is_wrong_usage(command):
    assert CliRunner().invoke(app, command).exit_code == 2


@pytest.mark.asyncio
async def test_a_gateway_that_is_being_started_again_is_waited_for():
    port, answer = free_port(), b"HTTP/1.1 204 No Content\r\n\r\n"

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(answer)
        writer.close()

    async with httpx.AsyncClient(transport=transport()) as client:
        waiting = asyncio.create_task(client.get(f"http://127.0.0.1:{port}/"))
        await asyncio.wait({waiting}, timeout=0.2)  # the first attempts are refused meanwhile
        assert not waiting.done()
        async with await asyncio.start_server(serve, "127.0.0.1", port):
            assert (await waiting).status_code == 204


@pytest.mark.asyncio
async def test_a_token_is_asked_for_again_while_the_gateways_proxy_cuts_off_whom_it_let_in(monkeypatch, tmp_path):
    token = b'{"access_token": "abc", "token_type": "Bearer"}'
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(token), token)
    listens_at = asyncio.get_running_loop().time() + 0.3

    async def serve(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        if asyncio.get_running_loop().time() > listens_at:
            writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        monkeypatch.setenv("WORKSITE_URL", f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        monkeypatch.setenv("WORKSITE_CLIENT_SECRET", "any")
        assert await Access.find(tmp_path).token() == "abc"


@pytest.mark.asyncio
async def test_whoever_leaves_somebody_elses_stack_is_told_that_it_runs_on(gateway, tmp_path):
    screen, began = Screen(progress=Console(file=io.StringIO(), width=200)), asyncio.Event()

    async def work():
        began.set()
        await asyncio.Event().wait()

    session = Session(tmp_path, "local", screen)
    following = asyncio.create_task(on_some_stack(session, StackOptions(tmp_path, Ports(0, 0)), work))
    await began.wait()
    following.cancel()
    with pytest.raises(asyncio.CancelledError):
        await following
    said = screen.progress.file.getvalue()
    assert "the stack runs on" in said
    assert "stopping" not in said
