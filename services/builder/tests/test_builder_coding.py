"""Build by a model, on real repositories: what it may touch, how rounds follow each other, and what a crash costs."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import pytest_asyncio
from worksite.builder import trying
from worksite.builder.coding import Modelling
from worksite.builder.git import GitFailed
from worksite.builder.testing import Desk, Origin, build_command, run_git
from worksite.builder.workbench import Workbench
from worksite.common.bus import Bus, announce, answer
from worksite.common.errors import Permanent, StepRefused
from worksite.common.llm import Conversation, Prices, Reply, Script, ScriptedModel, ToolResult, ToolUse
from worksite.common.llm.agents import ToolFailed
from worksite.common.llm.budgets import BudgetLimits
from worksite.common.llm.calls import ModelCalls, Terms
from worksite.common.llm.governor import Governor
from worksite.common.llm.prompts import load_prompt
from worksite.common.messages import (
    BuildChange,
    CandidateChecked,
    Changeset,
    CheckCandidate,
    CheckResult,
    Criterion,
    Finding,
    ImportedProject,
    Report,
    SearchRequest,
    SearchResponse,
    Spec,
    TestFile,
    Tier,
)
from worksite.common.testing import NatsServer
from worksite.common.testing.killing import KillingApi, killed_at_every_call, paid_again

pytestmark = pytest.mark.asyncio
MODEL = "claude-sonnet-5-5"
MODELS: dict[Tier, str] = {"small": "claude-haiku-5-5", "medium": MODEL, "large": "claude-opus-5-5"}
PROMPTS = Path(__file__).parents[3] / "prompts"
CALLS = 10
TEST = TestFile(path="acceptance/test_greeting.py", content="def test_greets(app):\n    assert app.get('/').text\n")
SPEC = Spec(
    title="Greeting",
    request="say hello",
    engine="test",
    criteria=(
        Criterion(id="greets", statement="GET / greets.", grade="verified_io", test=f"{TEST.path}::test_greets"),
    ),
    tests=(TEST,),
)


def use(name: str, **given: object) -> Reply:
    return Reply(content=(ToolUse.model_validate({"id": f"use_{name}", "name": name, "input": given}),))


def write(path: str, content: str = "x = 1\n") -> Reply:
    return use("write_file", path=path, content=content)


def done(status: str = "ok", **data: str) -> Reply:
    told = data or {"type": "built", "summary": "It greets."}
    return Reply.saying(json.dumps({"action": "build", "agent": "builder", "status": status, "data": told}))


def script(*replies: Reply, opening: str = "Build round 1") -> Conversation:
    return Conversation(opening=opening, replies=replies)


class Studio:
    """A desk whose builder has a model that follows a script."""

    def __init__(self, desk: Desk, bus: Bus) -> None:
        self.desk, self._bus = desk, bus
        self.model = ScriptedModel(Script(conversations=()))

    def follow(self, *conversations: Conversation) -> None:
        self.model = ScriptedModel(Script(conversations=conversations))
        terms = Terms(self.model, Prices.shipped(date(2026, 11, 23)), Governor(self._bus, {}))
        calls = ModelCalls(self._bus, "builder", terms, BudgetLimits(10**9, 10**9, 10**9))
        self.desk.modelling = Modelling(calls, MODELS.__getitem__, load_prompt(PROMPTS, "builder"))

    async def command(self, project: ImportedProject, **options: object) -> BuildChange:
        return build_command(await self.desk.artifacts.put_message(SPEC), project, **options)

    async def build(self, *replies: Reply) -> Changeset:
        self.follow(script(*replies))
        return await self.desk.build(await self.command(await self.desk.import_new()))

    def results(self) -> list[ToolResult]:
        """Of the tools that the model has used."""
        return [part for turn in self.model.requests[-1].turns for part in turn.content if isinstance(part, ToolResult)]

    def told(self) -> str:
        """Everything that the model was told at last."""
        return self.model.requests[-1].model_dump_json()


@pytest.fixture
def studio(desk: Desk, bus: Bus) -> Studio:
    return Studio(desk, bus)


@pytest_asyncio.fixture
async def rag(bus: Bus) -> AsyncIterator[list[SearchRequest]]:
    """Finds nothing, and remembers what was asked."""
    asked: list[SearchRequest] = []

    async def search(request: SearchRequest) -> SearchResponse:
        asked.append(request)
        return SearchResponse(results=(), reranked=False, timings_ms={})

    service = await announce(bus, "rag", "0.0.1")
    await answer(service, "search", SearchRequest, search)
    yield asked
    await service.stop()


async def test_what_the_model_writes_becomes_one_commit_that_names_the_model_and_its_prompt(
    studio: Studio, tmp_path: Path
) -> None:
    made = await studio.build(write("src/greet.py", "print('hello')\n"), write("README.md", "# Hi\n"), done())

    clone = await studio.desk.unbundle(made.bundle, tmp_path / "clone")
    assert (clone / "src" / "greet.py").read_text() == "print('hello')\n"
    engine = load_prompt(PROMPTS, "builder").engine(MODEL)
    assert (made.engine, made.summary, made.files_changed) == (engine, "Greeting: It greets.", 2)
    assert engine in run_git(clone, "log", "-1", "--format=%B")
    assert run_git(clone, "rev-parse", "HEAD^") == made.base_sha
    assert studio.desk.leftovers() == []


async def test_an_existing_project_is_read_and_changed_and_its_history_stays(
    studio: Studio, origin: Origin, tmp_path: Path
) -> None:
    base = origin.commit(**{"shop__py": "def total(p):\n    return 0\n", "notes__txt": "keep me\n"})
    replies = (
        use("search_files", text="return"),
        use("edit_file", path="shop.py", old="return 0", new="return sum(p)"),
        use("delete_file", path="notes.txt"),
        done(),
    )
    studio.follow(script(*replies, opening="an existing project"))
    made = await studio.desk.build(await studio.command(await studio.desk.import_git(origin.url)))

    assert "shop.py:2:     return 0" in studio.told()
    clone = await studio.desk.unbundle(made.bundle, tmp_path / "clone")
    assert run_git(clone, "diff", "--stat", base, "HEAD").splitlines()[-1].strip().startswith("2 files changed")
    assert (clone / "shop.py").read_text() == "def total(p):\n    return sum(p)\n"


async def test_line_ends_stay_as_they_are_in_the_file(studio: Studio, origin: Origin, tmp_path: Path) -> None:
    (origin.folder / "dos.txt").write_bytes(b"one\r\ntwo\r\nthree\r\n")
    origin.commit()
    edit = use("edit_file", path="dos.txt", old="one\ntwo", new="one\n2")
    studio.follow(script(edit, done()))
    made = await studio.desk.build(await studio.command(await studio.desk.import_git(origin.url)))
    clone = await studio.desk.unbundle(made.bundle, tmp_path / "clone")
    assert (clone / "dos.txt").read_bytes() == b"one\r\n2\r\nthree\r\n"


@pytest.mark.parametrize(
    "path",
    ["../out.py", "/etc/passwd", ".git", ".git/hooks/pre-commit", "src/.GIT/config", ".gitattributes", ".gitmodules",
     "a\\b", "", "x/../../y", "c:/x", "acceptance/test_greeting.py", "acceptance/conftest.py", "link"],
)  # fmt: skip
async def test_nothing_but_the_projects_own_files_can_be_written(studio: Studio, origin: Origin, path: str) -> None:
    (origin.folder / "link").symlink_to("elsewhere")
    origin.commit(a="1")
    outside = studio.desk.state_dir.parent / "out.py"
    studio.follow(script(write(path), write("fine.py"), done(), opening="Build round 1"))
    made = await studio.desk.build(await studio.command(await studio.desk.import_git(origin.url)))

    refused = studio.model.requests[1].turns[-1].content[0]
    assert refused.is_error  # type: ignore[union-attr]
    assert made.files_changed == 1
    assert not outside.exists()


async def test_a_later_round_is_told_the_findings_and_goes_on_from_the_work_in_one_commit_on_the_base(
    studio: Studio, tmp_path: Path
) -> None:
    project = await studio.desk.import_new()
    studio.follow(
        script(write("greet.py", "print('helo')\n"), write("kept.py"), done()),
        script(use("edit_file", path="greet.py", old="helo", new="hello"), done(), opening="Build round 2"),
    )
    first = await studio.desk.build(await studio.command(project))
    finding = Finding(check="acceptance", message="it says helo", path="greet.py", line=1)
    check = CheckResult(
        name="acceptance",
        verdict="fail",
        grade="verified_io",
        evidence="1 failed",
        duration_seconds=1,
        findings=(finding,),
    )
    report = await studio.desk.artifacts.put_message(a_report(first, check))
    command = await studio.command(project, step="5-build", round=2, report=report, previous=first)
    second = await studio.desk.build(command)

    assert "greet.py:1: it says helo" in studio.told()
    clone = await studio.desk.unbundle(second.bundle, tmp_path / "clone")
    assert (clone / "greet.py").read_text() == "print('hello')\n"
    assert (clone / "kept.py").exists()
    assert run_git(clone, "log", "--format=%H").splitlines() == [second.head_sha, project.base_sha]


async def test_the_command_chooses_the_tier_of_the_model(studio: Studio) -> None:
    studio.follow(script(write("a.py"), done()))
    made = await studio.desk.build(await studio.command(await studio.desk.import_new(), tier="large"))
    assert made.engine.startswith("model:claude-opus-5-5+builder@")
    assert {request.model for request in studio.model.requests} == {"claude-opus-5-5"}


async def test_work_on_another_base_is_refused_before_anything_is_written(studio: Studio) -> None:
    project = await studio.desk.import_new()
    studio.follow(script(write("a.py"), done()))
    first = await studio.desk.build(await studio.command(project))
    other = first.model_copy(update={"base_sha": "0" * 40})
    with pytest.raises(StepRefused, match="is based on 0000") as refused:
        await studio.desk.build(await studio.command(project, step="5-build", round=2, previous=other))
    assert refused.value.code == "unknown_base"


@pytest.mark.parametrize(
    ("replies", "told"),
    [
        ((write("a.py", "def f(:\n"), done(), write("a.py"), done()), "a.py: line 1: invalid syntax"),
        ((write("a.json", "{"), done(), write("a.json", "{}"), done()), "a.json: JSONDecodeError"),
        ((done(), write("a.py"), done()), "you have changed no file"),
        ((write("a.py"), done("failed"), done()), "status failed does not go with data of type built"),
    ],
)  # fmt: skip
async def test_work_that_cannot_be_right_goes_back_to_the_model(
    studio: Studio, replies: tuple[Reply, ...], told: str
) -> None:
    await studio.build(*replies)
    assert told in studio.told()


async def test_a_name_that_is_no_text_is_shown_and_the_project_is_built(studio: Studio, origin: Origin) -> None:
    (origin.folder / os.fsdecode(b"caf\xe9.txt")).write_text("needle")
    origin.commit(a__txt="needle")
    odd = r"caf\xe9.txt"
    replies = (use("list_files"), use("search_files", text="needle"), use("read_file", path=odd), write("b.py"), done())
    studio.follow(script(*replies, opening=odd))
    made = await studio.desk.build(await studio.command(await studio.desk.import_git(origin.url)))
    assert made.files_changed == 1
    listed, found, read, _ = studio.results()
    assert (listed.content, found.content) == (f"a.txt\n{odd}", "a.txt:1: needle")
    assert read.is_error


@pytest.mark.parametrize("failure", [ToolFailed("too deep"), TimeoutError("too slow"), GitFailed("too odd")])
async def test_work_that_cannot_be_looked_at_goes_back_to_the_model_and_ends_as_a_refusal(
    studio: Studio, failure: Exception, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Workbench) -> str:
        raise failure

    monkeypatch.setattr(Workbench, "faults", fail)
    with pytest.raises(StepRefused, match="cannot be inspected: too") as refused:
        await studio.build(write("a.py"), *[done()] * 4)
    assert refused.value.code == "unusable_answer"
    assert f"cannot be inspected: {failure}" in studio.told()


async def test_a_check_of_the_syntax_that_takes_too_long_is_told_to_the_model(tmp_path: Path) -> None:
    folder = tmp_path / "project"
    folder.mkdir()
    bench = Workbench(folder, parse_seconds=0.001)
    bench.write("a.py", "x = 1\n")
    with pytest.raises(ToolFailed, match="cannot be parsed"):
        await bench.faults()


async def test_a_query_that_the_engine_refuses_is_an_error_that_the_model_can_read(studio: Studio, bus: Bus) -> None:
    async def search(_: SearchRequest) -> SearchResponse:
        raise Permanent("not like this")

    service = await announce(bus, "rag", "0.0.1")
    await answer(service, "search", SearchRequest, search)
    await studio.build(use("search_knowledge", query="x"), write("a.py"), done())
    await service.stop()
    assert (studio.results()[0].content, studio.results()[0].is_error) == ("rag: not like this", True)


@pytest_asyncio.fixture
async def validator(bus: Bus) -> AsyncIterator[list[CheckCandidate]]:
    """Answers how often it was asked, and remembers what."""
    asked: list[CheckCandidate] = []

    async def check(question: CheckCandidate) -> CandidateChecked:
        asked.append(question)
        if question.tenant == "refused":
            raise Permanent("not this one")
        return CandidateChecked(text=f"run {len(asked)}")

    service = await announce(bus, "validator", "0.0.1")
    await answer(service, "check", CheckCandidate, check)
    yield asked
    await service.stop()


async def test_checks_are_run_by_the_validator_on_the_files_as_they_are(
    studio: Studio, origin: Origin, validator: list[CheckCandidate], tmp_path: Path
) -> None:
    base = origin.commit(**{"a__py": "x = 1\n"})
    replies = (write("a.py", "x = 2\n"), use("run_checks"), write("a.py", "x = 3\n"), use("run_checks"), done())
    studio.follow(script(*replies))
    command = await studio.command(await studio.desk.import_git(origin.url))
    made = await studio.desk.build(command)

    assert [result.content for result in studio.results()][1::2] == ["run 1", "run 2"]
    clone = await studio.desk.unbundle(command.project.bundle, tmp_path / "clone")
    for question, expected in zip(validator, ("x = 2", "x = 3"), strict=True):
        assert (question.project, question.spec) == (command.project, command.spec)
        bundle = tmp_path / "candidate.bundle"
        bundle.write_bytes(await studio.desk.artifacts.get(question.commits))
        run_git(clone, "fetch", "--quiet", str(bundle), "refs/worksite/candidate")
        assert run_git(clone, "show", f"{question.head_sha}:a.py") == expected
        assert run_git(clone, "rev-parse", f"{question.head_sha}^") == base
    delivered = await studio.desk.unbundle(made.bundle, tmp_path / "delivered")
    assert "candidate" not in run_git(delivered, "for-each-ref")


async def test_checks_are_not_run_again_when_the_step_is(studio: Studio, validator: list[CheckCandidate]) -> None:
    command = await studio.command(await studio.desk.import_new())
    replies = (write("a.py"), use("run_checks"), done())
    for _ in range(2):
        studio.follow(script(*replies))
        await studio.desk.build(command)
    assert (len(validator), studio.model.requests) == (1, [])


async def test_without_a_validator_the_model_is_told_that_checks_cannot_be_run_now(studio: Studio) -> None:
    await studio.build(write("a.py"), use("run_checks"), done())
    assert studio.results()[1].is_error
    assert "cannot be run now" in studio.results()[1].content


async def test_a_candidate_that_the_validator_refuses_is_an_error_that_the_model_can_read(
    studio: Studio, validator: list[CheckCandidate]
) -> None:
    studio.follow(script(write("a.py"), use("run_checks"), done()))
    await studio.desk.build(await studio.command(await studio.desk.import_new(), tenant="refused"))
    assert "not this one" in studio.results()[1].content


async def test_work_that_is_too_large_is_not_sent_to_be_checked(
    studio: Studio, validator: list[CheckCandidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "MAX_COMMITS_BYTES", 10)
    await studio.build(write("a.py"), use("run_checks"), done())
    assert "too much to be checked" in studio.results()[1].content
    assert validator == []


async def test_a_model_that_gives_up_says_why_to_the_client(studio: Studio) -> None:
    with pytest.raises(StepRefused, match="no database here") as refused:
        await studio.build(done("refused", type="problem", code="x", detail="no database here"))
    assert refused.value.code == "build_refused"


async def test_a_spec_that_pins_a_blueprint_is_rendered_although_there_is_a_model(studio: Studio) -> None:
    studio.follow()
    made = await studio.desk.build(await studio.desk.build_command(await studio.desk.import_new()))
    assert made.engine == "blueprint:greeting@1.2.0"
    assert studio.model.requests == []


async def test_without_a_model_a_spec_without_a_blueprint_is_refused(desk: Desk, bus: Bus) -> None:
    with pytest.raises(StepRefused, match="no language model"):
        await desk.build(await Studio(desk, bus).command(await desk.import_new()))


def a_report(made: Changeset, check: CheckResult) -> Report:
    return Report(
        verdict="FAIL", summary="1 of 1 failed", engine="test", round=1, spec_sha256="0" * 64, base_sha=made.base_sha,
        head_sha=made.head_sha, environment=None, checks=(check,),
    )  # fmt: skip


def ten_calls() -> tuple[Reply, ...]:
    edits = [use("edit_file", path="greet.py", old=f"step {n}\n", new=f"step {n + 1}\n") for n in range(6)]
    found = use("search_knowledge", query="how do we greet?")
    return (write("greet.py", '"""step 0\n"""\n'), found, *edits, use("check_syntax"), done())


@pytest.mark.proof
@pytest.mark.timeout(300)
async def test_a_builder_killed_at_every_call_pays_no_completed_call_twice_and_makes_the_same_commit(
    studio: Studio, bus: Bus, nats_server: NatsServer, rag: list[SearchRequest]
) -> None:
    project, desk = await studio.desk.import_new(), studio.desk
    studio.follow(script(*ten_calls()))
    undisturbed = await desk.build(await studio.command(project))
    command = await studio.command(project, step="7-build", deadline=datetime.now(UTC) + timedelta(hours=1))
    api = KillingApi(Script(conversations=(script(*ten_calls()),)))
    environment = {
        "PATH": os.environ["PATH"], "NATS_URL": nats_server.url, "PROMPTS_DIR": str(PROMPTS),
        "STATE_DIR": str(desk.state_dir), "BLUEPRINTS_DIR": str(desk.blueprints_dir),
    }  # fmt: skip
    result, starts = await killed_at_every_call(bus, "builder", command, api, environment)

    assert isinstance(result.reply.data, Changeset), result.reply
    assert result.reply.data.head_sha == undisturbed.head_sha
    assert starts == CALLS + 1
    assert api.asked == sorted(api.asked), "once a later call was made, no earlier one is made again"
    assert len(api.asked) == 2 * CALLS, "the call in doubt is made again once, and no other"
    assert await paid_again(bus, "builder", command, api) == [], "by the provider's books"
    assert len(rag) == 2, "a search is not repeated, except by the builder that was not disturbed"
