"""Design by a model: a scripted one, a real bus, real bundles, and a RAG engine that answers what a test says."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from worksite.architect.answering import Answerer
from worksite.architect.designing import Designer
from worksite.architect.handlers import Architect, Thinking
from worksite.architect.knowledge import Knowledge
from worksite.architect.library import Library
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, announce, answer
from worksite.common.errors import StepRefused
from worksite.common.ids import new_id
from worksite.common.llm import Conversation, Prices, Reply, Script, ScriptedModel, Text, ToolResult, ToolUse
from worksite.common.llm.budgets import BudgetLimits
from worksite.common.llm.calls import ModelCalls, Terms
from worksite.common.llm.governor import Governor
from worksite.common.llm.prompts import load_prompt
from worksite.common.messages import (
    Answer,
    AnswerQuestion,
    Changeset,
    Criterion,
    DesignSpec,
    ImportedProject,
    Question,
    Scores,
    SearchRequest,
    SearchResponse,
    SearchResult,
    Spec,
    SpecWritten,
    Tier,
)
from worksite.common.testing import NatsServer
from worksite.common.testing.killing import KillingApi, killed_at_every_call, paid_again
from worksite.common.testing.steps import step_context
from worksite.common.worker import Reply as Answered
from worksite.common.worker import StepContext

pytestmark = pytest.mark.asyncio
MODEL = "claude-sonnet-5-5"
MODELS: dict[Tier, str] = {"small": "claude-haiku-5-5", "medium": MODEL, "large": "claude-opus-5-5"}
ROOT = Path(__file__).parents[3]
CALLS = 10
PATH = "acceptance/test_it.py"
DRAFT: dict[str, Any] = {
    "type": "draft", "title": "Greeting", "decisions": [], "constraints": [], "interfaces": [], "files": [],
    "criteria": [{"id": "greets", "statement": "It greets.", "grade": "verified_io", "test": f"{PATH}::test_greets"}],
    "tests": [{"path": PATH, "content": "def test_greets(app):\n    assert app.get('/').text\n"}],
    "harness": {"target": "app:app", "factory": False, "import_roots": ["."], "env": []}, "removed_tests": [],
    "packages": [],
}  # fmt: skip


def said(status: str = "ok", **data: Any) -> Reply:
    whole = {"action": "design", "agent": "architect", "status": status, "data": data or DRAFT}
    return Reply.saying(json.dumps(whole))


def use(name: str, **given: object) -> Reply:
    return Reply(content=(ToolUse.model_validate({"id": f"use_{name}", "name": name, "input": given}),))


@dataclass
class FakeRag:
    """Finds what its text says, and remembers what was asked."""

    text: str = "Our services greet politely."
    cosine: float = 0.9
    asked: list[SearchRequest] = field(default_factory=list)

    async def search(self, request: SearchRequest) -> SearchResponse:
        self.asked.append(request)
        found = SearchResult(
            path="docs/rules.md", start_line=1, end_line=2, text=self.text, score=1, scores=Scores(dense=self.cosine),
            kind="blueprint", name="greeter",
        )  # fmt: skip
        return SearchResponse(results=(found,), reranked=False, timings_ms={})


@pytest_asyncio.fixture
async def rag(bus: Bus) -> AsyncIterator[FakeRag]:
    fake = FakeRag()
    service = await announce(bus, "rag", "0.0.1")
    await answer(service, "search", SearchRequest, fake.search)
    yield fake
    await service.stop()


@dataclass
class Studio:
    """An architect whose model follows a script."""

    bus: Bus
    library: Library
    context: StepContext
    model: ScriptedModel = field(default_factory=lambda: ScriptedModel(Script(conversations=())))

    def architect(self, opening: str, replies: tuple[Reply, ...]) -> Architect:
        self.model = ScriptedModel(Script(conversations=(Conversation(opening=opening, replies=replies),)))
        terms = Terms(self.model, Prices.shipped(date(2026, 11, 23)), Governor(self.bus, {}))
        models = ModelCalls(self.bus, "architect", terms, BudgetLimits(10**9, 10**9, 10**9))
        knowledge = Knowledge(self.bus)
        design, answers = (load_prompt(ROOT / "prompts", agent) for agent in ("architect", "answerer"))
        designer = Designer(models, MODELS.__getitem__, design, knowledge, self.library)
        thinking = Thinking(designer, Answerer(models, MODELS.__getitem__, answers, knowledge))
        return Architect(self.library, knowledge, thinking)

    async def design(self, command: DesignSpec, *replies: Reply) -> Answered:
        return await self.architect("Design for route", replies).design(command, self.context)

    async def ask(self, question: str, *replies: Reply, inputs: tuple[str, ...] = ()) -> Answered:
        deadline = datetime.now(UTC) + timedelta(hours=1)
        given = {"task": new_id(), "tenant": "acme", "step": "1-answer", "round": 0, "deadline": deadline}
        command = AnswerQuestion.model_validate(given | {"request": question, "inputs": inputs})
        return await self.architect("Answer the question", replies).answer(command, self.context)

    async def spec(self, reply: Answered) -> Spec:
        assert isinstance(reply.data, SpecWritten), reply
        return Spec.consume(await self.context.artifacts.get(reply.data.spec))

    def opening(self) -> str:
        return "".join(part.text for part in self.model.requests[0].turns[0].content if isinstance(part, Text))

    def results(self) -> list[str]:
        parts = (part for turn in self.model.requests[-1].turns for part in turn.content)
        return [part.content for part in parts if isinstance(part, ToolResult)]


@pytest.fixture
def studio(bus: Bus, library: Library) -> Studio:
    async def quiet(_: str) -> None: ...

    return Studio(bus, library, step_context(Artifacts(bus), quiet))


def bundled(folder: Path, files: dict[str, str]) -> tuple[str, bytes]:
    """A commit of these files (`__` stands for a dot), and a bundle as the builder would have made it."""
    for name, content in files.items():
        path = folder / name.replace("__", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *arguments], check=True)
    subprocess.run([*git, "bundle", "create", "-q", f"{folder}.bundle", "HEAD", "main"], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    return head, Path(f"{folder}.bundle").read_bytes()


def beside(folder: Path) -> tuple[str, str, bytes]:
    """A base with `old.py`, a head without a common ancestor that has `new.py` too, and a bundle of both."""
    base, _ = bundled(folder, {"old__py": "def total(): ...\n"})
    (folder / "new.py").write_text("# everything is right\n")
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@example.org"]
    for arguments in (
        ["tag", "base"], ["checkout", "-q", "--orphan", "change"], ["add", "."], ["commit", "-q", "-m", "y"],
        ["bundle", "create", "-q", f"{folder}.bundle", "HEAD", "change", "base"],
    ):  # fmt: skip
        subprocess.run([*git, *arguments], check=True)
    head = subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    return base, head, Path(f"{folder}.bundle").read_bytes()


@pytest.fixture
def imported(studio: Studio, tmp_path: Path) -> Callable[..., Any]:
    """A project with these files."""

    async def import_(**files: str) -> ImportedProject:
        head, bundle = bundled(tmp_path / new_id(), files)
        stored = await studio.context.artifacts.put(bundle, "application/x-git-bundle")
        return ImportedProject(base_sha=head, bundle=stored, empty=False)

    return import_


async def command(studio: Studio, project: ImportedProject | None = None, **options: Any) -> DesignSpec:
    bundle = await studio.context.artifacts.put(b"", "application/x-git-bundle")
    new = ImportedProject(base_sha="0" * 40, bundle=bundle, empty=True)
    deadline = datetime.now(UTC) + timedelta(hours=1)
    given = {"task": new_id(), "tenant": "acme", "step": "2-design", "round": 0, "deadline": deadline}
    request = {"request": "Make a greeter", "route": "feature", "project": project or new}
    return DesignSpec.model_validate(given | request | options)


async def test_with_a_model_a_request_that_a_blueprint_covers_is_designed_with_it_as_an_example(
    studio: Studio, rag: FakeRag
) -> None:
    spec = await studio.spec(await studio.design(await command(studio), said()))
    assert spec.engine == load_prompt(ROOT / "prompts", "architect").engine(MODEL)
    assert (spec.blueprint, spec.title, spec.request) == (None, "Greeting", "Make a greeter")
    opening = studio.opening()
    assert "docs/rules.md:1-2\nOur services greet politely." in opening
    assert "Greeting service: Greets people over HTTP." in opening
    assert "acceptance/test_hello.py::test_says_hello" in opening


async def test_on_an_existing_project_the_model_sees_its_map_and_reads_its_files(
    studio: Studio, rag: FakeRag, imported: Callable[..., Any]
) -> None:
    project = await imported(
        shop__py="class Shop:\n    def total(self):\n        return 1\n", notes__txt="two\nlines\n"
    )
    looks = (
        use("read_file", path="notes.txt", first_line=2),
        use("read_file", path="../etc/passwd"),
        use("search_knowledge", query="rules"),
    )
    await studio.design(await command(studio, project, route="fix"), *looks, said())
    assert "notes.txt\nshop.py\n\nshop.py:\n    class Shop:\n        def total(self):" in studio.opening()
    assert studio.results()[:2] == ["lines 2 to 2 of 2\nlines", "there is no text file ../etc/passwd"]
    assert rag.asked[-1].query == "rules"


async def test_a_design_that_loosens_what_judges_the_project_says_so_to_admin_and_to_people(
    studio: Studio, rag: FakeRag, imported: Callable[..., Any]
) -> None:
    project = await imported(**{"acceptance/test_it__py": "def test_old(run): ...\n"})
    tests = [f"tests/test_{number}.py" for number in range(20)]

    reply = await studio.design(await command(studio, project), said(**DRAFT | {"removed_tests": tests}))

    assert isinstance(reply.data, SpecWritten)
    assert reply.data.loosens == tuple(tests[:10])
    assert (await studio.spec(reply)).loosens == (*tests, PATH)  # the draft's test takes the place of the project's
    assert f"- `{PATH}`" in (await studio.context.artifacts.get(reply.data.document)).decode()


async def test_a_review_shows_the_model_what_the_change_is_compared_with_and_not_the_change(
    studio: Studio, rag: FakeRag, tmp_path: Path
) -> None:
    """The base lies beside the head here, as where `options.base` names another branch."""
    base, head, bundle = beside(tmp_path / new_id())
    stored = await studio.context.artifacts.put(bundle, "application/x-git-bundle")
    change = Changeset(
        base_sha=base, head_sha=head, branch="change", bundle=stored, archive=stored, summary="", engine="x",
        files_changed=1,
    )  # fmt: skip
    project = ImportedProject(base_sha=base, bundle=stored, empty=False, changeset=change)

    await studio.design(await command(studio, project, route="review"), use("read_file", path="new.py"), said())

    assert "old.py" in studio.opening()
    assert "new.py" not in studio.opening()
    assert studio.results() == ["there is no text file new.py"]


async def test_the_command_chooses_the_tier_of_the_model(studio: Studio, rag: FakeRag) -> None:
    spec = await studio.spec(await studio.design(await command(studio, tier="small"), said()))
    assert spec.engine.startswith("model:claude-haiku-5-5+architect@")


async def test_a_bundle_that_is_none_ends_the_design_with_a_reason(studio: Studio, rag: FakeRag) -> None:
    bundle = await studio.context.artifacts.put(b"no bundle", "application/x-git-bundle")
    project = ImportedProject(base_sha="0" * 40, bundle=bundle, empty=False)
    with pytest.raises(StepRefused) as refused:
        await studio.design(await command(studio, project))
    assert refused.value.code == "project_unreadable"


async def test_a_question_of_the_models_waits_for_the_client_and_the_answer_is_told(
    studio: Studio, rag: FakeRag
) -> None:
    reply = await studio.design(
        await command(studio), said("needs_input", type="question", reason="To whom?", hint="Say to whom.")
    )
    assert reply.status == "needs_input"
    assert isinstance(reply.data, Question)
    await studio.design(await command(studio, inputs=("To everybody",)), said())
    assert "<answer>\nTo everybody\n</answer>" in studio.opening()


async def test_a_draft_that_proves_nothing_goes_back_once_and_is_then_refused(studio: Studio, rag: FakeRag) -> None:
    empty = said(**DRAFT | {"criteria": []})
    assert (await studio.spec(await studio.design(await command(studio), empty, said()))).criteria
    with pytest.raises(StepRefused, match="there is no criterion") as refused:
        await studio.design(await command(studio), empty, empty, said())
    assert refused.value.code == "unusable_answer"


def halves() -> dict[str, Any]:
    """The draft, split in two."""
    criteria = [DRAFT["criteria"][0] | {"id": name} for name in ("greets", "waves")]
    packages = [
        {"id": f"to-{name}", "title": name.title(), "summary": f"Make it so that it {name}.", "criteria": [name],
         "files": [f"{name}.py"], "after": after}
        for name, after in (("greets", []), ("waves", ["to-greets"]))
    ]  # fmt: skip
    return DRAFT | {"criteria": criteria, "packages": packages}


async def test_work_that_may_be_split_becomes_packages_of_which_orchestration_gets_the_outline(
    studio: Studio, rag: FakeRag
) -> None:
    reply = await studio.design(await command(studio, may_split=True), said(**halves()))
    assert "\n\nThe work may be split into packages.\n\n" in studio.opening()
    assert isinstance(reply.data, SpecWritten)
    assert [(each.id, each.title, each.after) for each in reply.data.packages] == [
        ("to-greets", "Greets", ()), ("to-waves", "Waves", ("to-greets",)),
    ]  # fmt: skip
    assert [each.criteria for each in (await studio.spec(reply)).packages] == [("greets",), ("waves",)]
    document = (await studio.context.artifacts.get(reply.data.document)).decode()
    assert "| `to-waves` | **Waves**: Make it so that it waves. | `waves` | `waves.py` | `to-greets` |" in document


async def test_work_that_is_one_piece_is_asked_for_in_the_same_form_and_a_split_goes_back(
    studio: Studio, rag: FakeRag
) -> None:
    reply = await studio.design(await command(studio), said(**halves()), said())
    assert "split" not in studio.opening()
    assert isinstance(reply.data, SpecWritten)
    assert reply.data.packages == ()
    whole, told = studio.model.requests[0], studio.model.requests[1].turns[-1].model_dump_json()
    assert "packages must be empty" in told
    await studio.design(await command(studio, may_split=True), said())
    assert (whole.system, whole.output, whole.tools) == (
        studio.model.requests[0].system, studio.model.requests[0].output, studio.model.requests[0].tools,
    ), "what is asked for comes before everything else, and stays cached"  # fmt: skip


async def test_a_refusal_of_the_models_is_told_with_its_reason(studio: Studio, rag: FakeRag) -> None:
    with pytest.raises(StepRefused, match="not this") as refused:
        await studio.design(await command(studio), said("refused", type="problem", code="x", detail="not this"))
    assert refused.value.code == "design_refused"


async def test_a_review_with_the_clients_criteria_asks_no_model(studio: Studio) -> None:
    given = (Criterion(id="project-tests", statement="Tests pass.", grade="self_reported"),)
    spec = await studio.spec(await studio.design(await command(studio, route="review", criteria=given)))
    assert (spec.engine, spec.criteria) == ("rules", given)


async def test_a_replay_asks_the_same_although_the_knowledge_has_changed(studio: Studio, rag: FakeRag) -> None:
    again = await command(studio)
    await studio.design(again, use("search_knowledge", query="rules"), said())
    asked, rag.text = len(rag.asked), "Our services are rude now."
    await studio.spec(await studio.design(again))
    assert studio.model.requests == []
    assert len(rag.asked) == asked


def answered(passage: int, words: str, text: str = "Politely.") -> Reply:
    data = {"type": "answered", "text": text, "quotes": [{"passage": passage, "words": words}]}
    return Reply.saying(json.dumps({"action": "answer", "agent": "architect", "status": "ok", "data": data}))


async def test_a_question_is_answered_from_passages_that_are_cited_with_their_places(
    studio: Studio, rag: FakeRag
) -> None:
    reply = await studio.ask("How do we greet?", answered(1, "services  greet\npolitely"))
    assert isinstance(reply.data, Answer)
    assert (reply.data.text, reply.data.engine.partition("@")[0]) == ("Politely.", "model:claude-haiku-5-5+answerer")
    assert [(c.path, c.start_line, c.text) for c in reply.data.citations] == [("docs/rules.md", 1, rag.text)]
    assert "<question>\nHow do we greet?\n</question>" in studio.opening()


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        (answered(1, "services greet loudly"), "passage 1 does not say 'services greet loudly'"),
        (answered(2, "services greet politely"), "there is no passage 2"),
    ],
)
async def test_an_answer_that_cites_what_is_not_there_goes_back_and_is_then_refused(
    studio: Studio, rag: FakeRag, bad: Reply, told: str
) -> None:
    assert (await studio.ask("How?", bad, answered(1, "greet politely"))).status == "ok"
    with pytest.raises(StepRefused, match=told) as refused:
        await studio.ask("How?", bad, bad)
    assert refused.value.code == "unusable_answer"


async def test_what_the_passages_do_not_say_needs_input_and_without_passages_no_model_is_asked(
    studio: Studio, rag: FakeRag
) -> None:
    data = {"type": "question", "reason": "They do not say when.", "hint": "Add the rule."}
    silent = Reply.saying(json.dumps({"action": "answer", "agent": "architect", "status": "needs_input", "data": data}))
    reply = await studio.ask("When?", silent)
    assert (reply.status, reply.data.type) == ("needs_input", "question")
    rag.cosine = 0.1
    reply = await studio.ask("Who won?", inputs=("Who won the cup?",))
    assert reply.status == "needs_input"
    assert studio.model.requests == []
    assert rag.asked[-1].query == "Who won the cup?"


@pytest.mark.proof
@pytest.mark.timeout(300)
async def test_an_architect_killed_at_every_call_pays_no_completed_call_twice(
    studio: Studio, rag: FakeRag, nats_server: NatsServer, imported: Callable[..., Any], greeter: Path, tmp_path: Path
) -> None:
    project = await imported(**{f"part{n}__py": f"def f{n}(): ...\n" for n in range(CALLS)})
    searches = [use("search_knowledge", query=f"rule {n}") for n in range(4)]
    reads = [use("read_file", path=f"part{n}.py") for n in range(CALLS - 5)]
    script = Script(conversations=(Conversation(opening="Design for route", replies=(*searches, *reads, said())),))
    api = KillingApi(script)
    environment = {
        "PATH": os.environ["PATH"], "NATS_URL": nats_server.url,
        "PROMPTS_DIR": str(ROOT / "prompts"), "BLUEPRINTS_DIR": str(greeter.parent),
        "TMPDIR": str(tmp_path),  # whoever is killed leaves the project that it had unpacked there
    }  # fmt: skip
    asked = await command(studio, project)
    result, starts = await killed_at_every_call(studio.bus, "architect", asked, api, environment)

    assert isinstance(result.reply.data, SpecWritten), result.reply
    assert starts == CALLS + 1
    assert api.asked == sorted(api.asked), "once a later call was made, no earlier one is made again"
    assert len(api.asked) == 2 * CALLS, "the call in doubt is made again once, and no other"
    assert await paid_again(studio.bus, "architect", asked, api) == [], "by the provider's books"
    assert len(rag.asked) == 2 + 4, "of the opening and of the model's searches, none is repeated"
    (used,) = result.model_use
    assert used.calls == CALLS
