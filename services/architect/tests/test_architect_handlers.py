"""The architect on a real bus, with a RAG engine that answers what a test says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import pytest_asyncio
from worksite.architect.domain.templates import Template
from worksite.architect.handlers import Architect
from worksite.architect.knowledge import Knowledge
from worksite.architect.library import Library
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, Envelope, announce, answer
from worksite.common.errors import ServiceUnavailable
from worksite.common.ids import new_id
from worksite.common.messages import (
    Answer,
    AnswerQuestion,
    ArtifactRef,
    Criterion,
    DesignSpec,
    ImportedProject,
    Question,
    Route,
    Scores,
    SearchRequest,
    SearchResponse,
    SearchResult,
    Spec,
    SpecWritten,
    StepResult,
)
from worksite.common.testing.steps import step_context
from worksite.common.worker import StepContext, Worker


@dataclass
class FakeRag:
    """Answers every search with `results` and remembers what was asked."""

    results: tuple[SearchResult, ...] = ()
    asked: list[SearchRequest] = field(default_factory=list)

    async def search(self, request: SearchRequest) -> SearchResponse:
        self.asked.append(request)
        return SearchResponse(results=self.results, reranked=False, timings_ms={})


@pytest_asyncio.fixture
async def rag(bus: Bus) -> AsyncIterator[FakeRag]:
    fake = FakeRag((hit("greeter"),))
    service = await announce(bus, "rag", "0.0.1")
    await answer(service, "search", SearchRequest, fake.search)
    yield fake
    await service.stop()


@pytest.fixture
def architect(bus: Bus, library: Library) -> Architect:
    return Architect(library, Knowledge(bus))


@pytest.fixture
def progress() -> list[str]:
    return []


@pytest.fixture
def context(bus: Bus, progress: list[str]) -> StepContext:
    async def note(text: str) -> None:
        progress.append(text)

    return step_context(Artifacts(bus), note)


def hit(name: str, cosine: float = 0.5) -> SearchResult:
    path = f"blueprints/{name}/README.md"
    scores = Scores(dense=cosine)
    return SearchResult(
        path=path, start_line=1, end_line=2, text="It greets.", score=0.9, scores=scores, kind="blueprint", name=name
    )


def design(
    request: str, route: Route = "feature", *, empty: bool = True, criteria: tuple[Criterion, ...] = ()
) -> DesignSpec:
    bundle = ArtifactRef(sha256="0" * 64, size=1, media_type="application/x-git-bundle")
    project = ImportedProject(base_sha="0" * 40, bundle=bundle, empty=empty)
    return DesignSpec(**step("2-design"), request=request, route=route, project=project, criteria=criteria)


def step(name: str) -> dict[str, object]:
    deadline = datetime.now(UTC) + timedelta(hours=1)
    return {"task": new_id(), "tenant": "acme", "step": name, "round": 0, "deadline": deadline}


@pytest.mark.parametrize("route", ["feature", "design"])
@pytest.mark.asyncio
async def test_a_covered_request_becomes_a_spec_and_its_document(
    architect: Architect, context: StepContext, rag: FakeRag, progress: list[str], route: Route
):
    reply = await architect.design(design("Make a greeter with a nameplate", route), context)
    assert reply.status == "ok"
    assert isinstance(reply.data, SpecWritten)
    spec = Spec.consume(await context.artifacts.get(reply.data.spec))
    document = (await context.artifacts.get(reply.data.document)).decode()
    assert spec.request == "Make a greeter with a nameplate"
    assert (reply.data.title, reply.data.engine, reply.data.criteria) == (spec.title, spec.engine, 2)
    assert document.startswith("# Greeting service")
    assert reply.data.document.media_type == "text/markdown"
    assert progress[-1] == "greeter covers: greeter, nameplate"


@pytest.mark.asyncio
async def test_candidates_are_searched_for_by_the_tenant_among_blueprints_only(
    architect: Architect, context: StepContext, rag: FakeRag
):
    await architect.design(design("Make a greeter " * 300), context)
    (asked,) = rag.asked
    assert (asked.tenant, asked.filters.kind, len(asked.query)) == ("acme", "blueprint", 2000)


@pytest.mark.asyncio
async def test_a_request_that_is_covered_in_part_needs_input_and_names_both_parts(
    architect: Architect, context: StepContext, rag: FakeRag
):
    reply = await architect.design(design("Make a greeter with a nameplate and fireworks"), context)
    assert reply.status == "needs_input"
    assert isinstance(reply.data, Question)
    assert reply.data.covered == ("greeter", "nameplate")
    assert reply.data.missing == ("fireworks",)


@pytest.mark.parametrize("results", [(), (hit("unknown"),)])
@pytest.mark.asyncio
async def test_a_request_without_a_candidate_needs_input(
    architect: Architect, context: StepContext, rag: FakeRag, results: tuple[SearchResult, ...]
):
    rag.results = results
    reply = await architect.design(design("Make a greeter"), context)
    assert reply.status == "needs_input"


@pytest.mark.asyncio
async def test_the_best_match_that_covers_everything_wins(
    bus: Bus, library: Library, shipped: Library, context: StepContext, rag: FakeRag
):
    rag.results = (hit("auth-service"), hit("greeter"), hit("auth-service"))
    architect = Architect({**library, **shipped}, Knowledge(bus))
    reply = await architect.design(design("Make a greeter"), context)
    assert isinstance(reply.data, SpecWritten)
    assert reply.data.engine == "blueprint:greeter@2.1.0"


@pytest.mark.asyncio
async def test_a_fix_needs_input(architect: Architect, context: StepContext):
    reply = await architect.design(design("Make a greeter", "fix"), context)
    assert reply.status == "needs_input"


@pytest.mark.asyncio
async def test_a_repository_with_files_needs_input(architect: Architect, context: StepContext):
    reply = await architect.design(design("Make a greeter", empty=False), context)
    assert reply.status == "needs_input"
    assert isinstance(reply.data, Question)
    assert "already has files" in reply.data.reason


@pytest.mark.asyncio
async def test_a_review_is_specified_without_a_blueprint_and_without_a_search(
    architect: Architect, context: StepContext
):
    criteria = (Criterion(id="sound", statement="It is sound.", grade="self_reported"),)
    reply = await architect.design(design("Make a greeter", "review", empty=False, criteria=criteria), context)
    assert isinstance(reply.data, SpecWritten)
    spec = Spec.consume(await context.artifacts.get(reply.data.spec))
    assert (spec.criteria, spec.blueprint, spec.engine) == (criteria, None, "rules")


@pytest.mark.asyncio
async def test_a_question_is_answered_with_citations(architect: Architect, context: StepContext, rag: FakeRag):
    reply = await architect.answer(AnswerQuestion(**step("1-answer"), request="What does it do?"), context)
    assert isinstance(reply.data, Answer)
    assert reply.data.citations[0].path == "blueprints/greeter/README.md"
    assert rag.asked[0].filters.kind is None


@pytest.mark.asyncio
async def test_a_question_that_no_passage_is_about_needs_input(
    architect: Architect, context: StepContext, rag: FakeRag
):
    rag.results = (hit("greeter", cosine=0.1),)
    reply = await architect.answer(AnswerQuestion(**step("1-answer"), request="Who won?"), context)
    assert reply.status == "needs_input"


@pytest.mark.asyncio
async def test_an_answer_to_our_question_lets_the_design_go_on_and_what_is_left_out_is_recorded(
    architect: Architect, context: StepContext, rag: FakeRag
):
    command = design("Make a greeter with a nameplate and fireworks")
    reply = await architect.design(command.model_copy(update={"inputs": ("leave it out",)}), context)
    assert isinstance(reply.data, SpecWritten)
    spec = Spec.consume(await context.artifacts.get(reply.data.spec))
    assert spec.constraints[-1] == "Left out at the client's word: “fireworks”."
    assert rag.asked[0].query == "leave it out\nMake a greeter with a nameplate and fireworks"


@pytest.mark.asyncio
async def test_the_project_name_reaches_the_blueprint(bus: Bus, keeper: Template, context: StepContext, rag: FakeRag):
    rag.results = (hit("keeper"),)
    architect = Architect({"keeper": keeper}, Knowledge(bus))
    command = design("a book API with title").model_copy(update={"project_name": "my-books"})
    reply = await architect.design(command, context)
    assert isinstance(reply.data, SpecWritten)
    spec = Spec.consume(await context.artifacts.get(reply.data.spec))
    assert spec.blueprint is not None
    assert spec.blueprint.parameters["package"] == "my_books"
    assert reply.data.title == "Keeper of books"


@pytest.mark.asyncio
async def test_a_question_in_other_words_is_searched_for_in_the_newest(
    architect: Architect, context: StepContext, rag: FakeRag
):
    command = AnswerQuestion(**step("1-answer"), request="What?", inputs=("What of it?", "What does it do?"))
    await architect.answer(command, context)
    assert [asked.query for asked in rag.asked] == ["What does it do?"]


@pytest.mark.asyncio
async def test_while_the_rag_engine_is_away_the_step_is_to_be_tried_again(architect: Architect, context: StepContext):
    with pytest.raises(ServiceUnavailable):
        await architect.design(design("Make a greeter"), context)


@pytest.mark.asyncio
async def test_a_command_on_the_bus_becomes_one_result(bus: Bus, architect: Architect, rag: FakeRag):
    command = design("Make a greeter")
    envelope = Envelope(command.ce_type(), "admin", command.tenant, command.task)
    await bus.publish(subjects.work_subject("architect", command.tenant), command, envelope)
    stop = asyncio.Event()
    worker = asyncio.create_task(Worker(bus, "architect", {DesignSpec: architect.design}).run(stop, 1))
    subject = subjects.event_subject(command.tenant, command.task, "architect", command.step, "result")
    async with asyncio.timeout(10):
        while (stored := await bus.last("EVENTS", subject)) is None:
            await asyncio.sleep(0.01)
    stop.set()
    await worker
    reply = StepResult.consume(stored.data).reply
    assert (reply.action, reply.agent, reply.status) == ("design", "architect", "ok")
    assert isinstance(reply.data, SpecWritten)
