"""The cascade with its surroundings: rag on the bus, a language model, the task's state."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import pytest_asyncio
from pydantic import SecretStr
from worksite.admin.domain import cues
from worksite.admin.domain.classifier import Classifier
from worksite.admin.handlers import Orchestrator
from worksite.admin.inbox import parse
from worksite.admin.reader import Reader, shipped_classifier
from worksite.admin.route_model import RouteModel, call_usd
from worksite.admin.router import Router
from worksite.common.bus import Bus, Envelope, announce, answer, request
from worksite.common.llm import Completion, Conversation, ModelRequest, Prices, Reply, Script, ScriptedModel
from worksite.common.llm.budgets import BudgetLimits
from worksite.common.llm.calls import ModelCalls, Terms
from worksite.common.llm.governor import Governor
from worksite.common.llm.pricing import PriceRow, Rates
from worksite.common.llm.settings import ModelSettings
from worksite.common.llm.wiring import model_calls
from worksite.common.messages import (
    Embedding,
    EmbedText,
    ExplainRoute,
    JournalRecord,
    NewProject,
    Route,
    RouteExplained,
)
from worksite.common.secrets.rotation import Secrets
from worksite.common.subjects import journal_subject
from worksite.common.testing.messages_api import MessagesApi, serving
from worksite.common.testing.messages_api.api import TEST_KEY

pytestmark = pytest.mark.asyncio

NOTHING = (0.0,) * len(cues.NAMES)
CLASSIFIER = Classifier(
    embedder="e1",
    dimensions=2,
    cues=cues.NAMES,
    phrases=(),
    trained_on="",
    routes={"feature": (0, 0, *NOTHING, 0), "review": (9, 0, *NOTHING, 0), "question": (0, 9, *NOTHING, 0)},
    difficulties={"easy": (0, 0, *NOTHING, 0), "hard": (9, 9, *NOTHING, -4)},
)
UNSURE, SURE_OF_REVIEW = (0.0, 0.0), (1.0, 0.0)
MODEL = "small-one"
ROUTED = '{"action": "route", "agent": "admin", "status": "ok", "data": {"route": "design", "difficulty": "easy", "reason": "a paper"}}'  # noqa: E501
NOBODY_KNOWS = "Auth system"
"""No rule decides it."""


class Rag:
    """Answers `embed` as it is told to."""

    def __init__(self) -> None:
        self.vector: tuple[float, ...] = SURE_OF_REVIEW
        self.embedder = "e1"
        self.asked = 0
        self.silent = False

    async def embed(self, _: EmbedText) -> Embedding:
        self.asked += 1
        if self.silent:
            await asyncio.Event().wait()
        return Embedding(embedder=self.embedder, vector=self.vector)


@pytest_asyncio.fixture
async def rag(bus: Bus) -> AsyncIterator[Rag]:
    rag, micro = Rag(), await announce(bus, "rag", "0.1.0")
    await answer(micro, "embed", EmbedText, rag.embed)
    yield rag
    await micro.stop()


def model_of(bus: Bus, *replies: str, seconds: float = 20, step_usd: int = 1_000_000) -> RouteModel:
    rates = Rates(input=Decimal(1), output=Decimal(5), write_5m=Decimal(1), write_1h=Decimal(2), read=Decimal("0.1"))
    row = PriceRow(
        model=MODEL,
        since="2026-01-01",  # pyright: ignore[reportArgumentType]
        source="a test",
        rates=(rates,),
        context_tokens=100_000,
        max_output_tokens=10_000,
        min_cacheable_tokens=512,
    )
    terms = Terms(ScriptedModel(scripted(*replies)), Prices([row], row.since), Governor(bus, {}))
    return RouteModel(ModelCalls(bus, "admin", terms, BudgetLimits(10**9, 10**9, step_usd)), MODEL, seconds)


def router(bus: Bus, model: RouteModel | None = None, seconds: float = 5) -> Router:
    return Router(Reader(bus, CLASSIFIER, seconds), model, asking_usd=0.001)


async def test_what_rules_decide_asks_nobody(bus: Bus, rag: Rag, samples: Any) -> None:
    decision = await router(bus).route(samples.submission(request="Fix the login bug"))

    assert (decision.route, decision.stage) == ("fix", "rules")
    assert rag.asked == 0
    assert decision.latency_ms > 0


async def test_what_no_rule_decides_is_classified_by_the_vector_that_rag_has_of_it(
    bus: Bus, rag: Rag, samples: Any
) -> None:
    decision = await router(bus).route(samples.submission(request=NOBODY_KNOWS))

    assert (decision.route, decision.stage, decision.difficulty) == ("review", "classifier", "hard")
    assert decision.confidence > 0.99
    assert decision.cost_usd == 0


@pytest.mark.parametrize("trouble", ["other_embedder", "rag_slow", "other_length"])
async def test_the_cascade_goes_on_where_rag_is_of_no_use(
    bus: Bus, rag: Rag, samples: Any, trouble: str, caplog: pytest.LogCaptureFixture
) -> None:
    rag.embedder = "e2" if trouble == "other_embedder" else "e1"
    rag.vector = (1.0,) if trouble == "other_length" else SURE_OF_REVIEW
    rag.silent = trouble == "rag_slow"
    ours = router(bus, seconds=0.05 if rag.silent else 5)

    for _ in range(2):
        decision = await ours.route(samples.submission(request=NOBODY_KNOWS))
        assert (decision.route, decision.stage) == ("feature", "default")

    assert len([r for r in caplog.records if "without the classifier" in r.message]) == 1, "said once, not per task"


async def test_the_cascade_goes_on_where_there_is_no_rag(bus: Bus, samples: Any) -> None:
    decision = await router(bus).route(samples.submission(request=NOBODY_KNOWS))

    assert (decision.route, decision.stage) == ("feature", "default")


async def test_a_model_is_asked_where_the_classifier_is_not_sure(bus: Bus, rag: Rag, samples: Any) -> None:
    rag.vector = UNSURE
    decision = await router(bus, model_of(bus, ROUTED)).route(samples.submission(request=NOBODY_KNOWS))

    assert (decision.route, decision.stage, decision.difficulty) == ("design", "model", "easy")
    assert decision.reason == "a paper"
    [use] = decision.model_use
    assert (use.model, use.calls) == (MODEL, 1)
    assert decision.cost_usd == use.cost_micro_usd / 1e6 > 0


@pytest.mark.parametrize(("tier", "refused"), [("small", 0), ("medium", 1), ("large", 1)])
async def test_the_configured_provider_takes_the_request_as_it_is_sent(
    bus: Bus, rag: Rag, samples: Any, tier: Any, refused: int
) -> None:
    """A strict server refuses what the real one refuses: effort, thinking, the schema of the answer. Larger models
    cannot do without thinking, and MODEL_SMALL may name one of them; they are told so once."""
    rag.vector = UNSURE
    api = MessagesApi(scripted(ROUTED))
    async with serving(api) as url:
        settings = ModelSettings(anthropic_api_key=SecretStr(TEST_KEY), anthropic_base_url=url)
        async with model_calls(settings, bus, "admin", Secrets()) as calls:
            assert calls
            model = settings.model_of(tier)
            asking = router(bus, RouteModel(calls, model, 20))
            decisions = [await asking.route(samples.submission(request=NOBODY_KNOWS)) for _ in range(2)]

    assert [(decision.route, decision.stage) for decision in decisions] == [("design", "model")] * 2
    assert [decision.model_use[0].model for decision in decisions] == [model] * 2
    assert [seen.status for seen in api.seen if seen.status != 200] == [400] * refused


async def test_an_answer_with_thinking_is_not_paid_again_by_the_next_admin(bus: Bus, samples: Any) -> None:
    """The next one does not know yet that this model refuses to be asked without."""
    api, task = MessagesApi(scripted(ROUTED)), samples.submission(request=NOBODY_KNOWS)
    async with serving(api) as url:
        settings = ModelSettings(anthropic_api_key=SecretStr(TEST_KEY), anthropic_base_url=url)
        async with model_calls(settings, bus, "admin", Secrets()) as calls:
            assert calls
            first, second = [await RouteModel(calls, settings.model_of("large"), 20).decide(task) for _ in range(2)]

    assert first.decision
    assert (second.decision, second.costs.uses) == (first.decision, first.costs.uses)
    assert [seen.status for seen in api.seen] == [400, 200]


async def test_no_model_is_asked_where_the_classifier_is_sure(bus: Bus, rag: Rag, samples: Any) -> None:
    decision = await router(bus, model_of(bus)).route(samples.submission(request=NOBODY_KNOWS))

    assert (decision.stage, decision.cost_usd) == ("classifier", 0)


async def test_how_hard_it_is_is_found_out_where_models_could_use_it(bus: Bus, rag: Rag, samples: Any) -> None:
    task = samples.submission(request=NOBODY_KNOWS, route="feature")

    assert (await router(bus).route(task)).difficulty is None
    assert (await router(bus, model_of(bus)).route(task)).difficulty == "hard"


@pytest.mark.parametrize("reply", ["no JSON", '{"action": "route"}', ROUTED.replace("design", "deploy")])
async def test_a_model_that_answers_nonsense_is_paid_and_not_believed(
    bus: Bus, rag: Rag, samples: Any, reply: str
) -> None:
    rag.vector = UNSURE
    decision = await router(bus, model_of(bus, reply)).route(samples.submission(request=NOBODY_KNOWS))

    assert (decision.route, decision.stage) == ("feature", "classifier")
    assert decision.cost_usd > 0


async def test_a_model_without_budget_is_not_asked(bus: Bus, rag: Rag, samples: Any) -> None:
    rag.vector = UNSURE
    decision = await router(bus, model_of(bus, ROUTED, step_usd=1)).route(samples.submission(request=NOBODY_KNOWS))

    assert (decision.stage, decision.cost_usd) == ("classifier", 0)


class Mute(ScriptedModel):
    """Never answers."""

    async def reply(self, request: ModelRequest, heard: Any = None) -> Completion:
        return await asyncio.Future()


async def test_a_model_that_does_not_answer_holds_no_task_up(bus: Bus, rag: Rag, samples: Any) -> None:
    rag.vector = UNSURE
    answering = model_of(bus, ROUTED)
    mute = dataclasses.replace(answering.calls.terms, model=Mute(Script(conversations=())))
    model = RouteModel(dataclasses.replace(answering.calls, terms=mute), MODEL, seconds=0.3)

    decision = await router(bus, model).route(samples.submission(request=NOBODY_KNOWS))

    assert decision.stage == "classifier"


async def test_a_submission_that_comes_again_does_not_pay_for_its_route_again(scene: Any, rag: Rag) -> None:
    """The first admin dies after the model's answer and before the state is recorded."""
    rag.vector = UNSURE
    task = await scene.submit(scene.samples.submission(request=NOBODY_KNOWS))
    first = await router(scene.bus, model_of(scene.bus, ROUTED)).route(task)
    with_nothing_to_say = router(scene.bus, model_of(scene.bus))

    await Orchestrator(scene.bus, with_nothing_to_say.route).handle(await scene.next_delivery("TASKS"))

    [state] = await scene.states(task)
    assert (state.route.route, state.route.stage) == ("design", "model")
    assert state.route.model_use == first.model_use
    assert state.route.cost_usd == first.cost_usd
    row = await scene.row(task)
    assert row.state.route == state.route


class Slow(ScriptedModel):
    """Answers when it is let."""

    def __init__(self, script: Script) -> None:
        super().__init__(script)
        self.asked, self.let = asyncio.Event(), asyncio.Event()

    async def reply(self, request: ModelRequest, heard: Any = None) -> Completion:
        self.asked.set()
        await self.let.wait()
        return await super().reply(request, heard)


def with_terms(asking: RouteModel, **terms: Any) -> RouteModel:
    """The same with other terms, asked of the same journal."""
    changed = dataclasses.replace(asking.calls.terms, **terms)
    return RouteModel(dataclasses.replace(asking.calls, terms=changed), MODEL, seconds=20)


def scripted(*replies: str) -> Script:
    return Script(conversations=(Conversation(opening="", replies=tuple(map(Reply.saying, replies))),))


async def test_a_second_admin_waits_for_the_call_of_the_first_and_pays_nothing(bus: Bus, samples: Any) -> None:
    task, slow, waited = samples.submission(request=NOBODY_KNOWS), Slow(scripted(ROUTED)), asyncio.Event()

    async def looks_again_soon(_: float) -> None:
        waited.set()
        await asyncio.sleep(0.01)

    first = asyncio.create_task(with_terms(model_of(bus), model=slow).decide(task))
    await slow.asked.wait()
    nothing_to_say = model_of(bus)
    second = asyncio.create_task(with_terms(nothing_to_say, sleep=looks_again_soon).decide(task))
    await waited.wait()
    assert not second.done()
    slow.let.set()

    answers = await asyncio.gather(first, second)
    assert [answer.decision.route for answer in answers if answer.decision] == ["design", "design"]
    assert len({answer.costs.uses for answer in answers}) == 1, "it is known to both, and was paid once"


async def test_of_admins_that_begin_at_the_same_moment_one_asks(bus: Bus, samples: Any) -> None:
    task, script = samples.submission(request=NOBODY_KNOWS), scripted(ROUTED)
    models = [ScriptedModel(script) for _ in range(3)]

    answers = await asyncio.gather(*(with_terms(model_of(bus), model=model).decide(task) for model in models))

    assert [answer.decision and answer.decision.route for answer in answers] == ["design"] * 3
    assert sum(len(model.requests) for model in models) == 1


async def test_a_call_that_an_admin_died_at_is_made_again_once_it_cannot_be_under_way(bus: Bus, samples: Any) -> None:
    task, slow = samples.submission(request=NOBODY_KNOWS), Slow(scripted())
    first = asyncio.create_task(with_terms(model_of(bus), model=slow).decide(task))
    await slow.asked.wait()
    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first

    later = datetime.now(UTC) + timedelta(seconds=21)
    answer = await with_terms(model_of(bus, ROUTED), now=lambda: later).decide(task)

    assert answer.decision
    assert answer.decision.route == "design"


async def test_a_clock_that_is_behind_the_servers_holds_no_task_up(bus: Bus, samples: Any) -> None:
    task, slow = samples.submission(request=NOBODY_KNOWS), Slow(scripted())
    first = asyncio.create_task(with_terms(model_of(bus), model=slow).decide(task))
    await slow.asked.wait()
    calls = model_of(bus, ROUTED).calls
    behind = dataclasses.replace(calls.terms, now=lambda: datetime.now(UTC) - timedelta(hours=1))

    async with asyncio.timeout(40):
        await RouteModel(dataclasses.replace(calls, terms=behind), MODEL, seconds=0.3).decide(task)

    first.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await first


async def test_a_journal_that_cannot_be_read_holds_no_task_up(bus: Bus, rag: Rag, samples: Any) -> None:
    rag.vector = UNSURE
    task = samples.submission(request=NOBODY_KNOWS)
    record = JournalRecord(
        task=task.task, tenant=task.tenant, step="0-route", index=0, kind="call", digest="0" * 64, holder="w", body="{}"
    )
    envelope = Envelope(record.ce_type(), "admin", task.tenant, task.task)
    await bus.publish(journal_subject(task.tenant, task.task, "admin", "0-route", 1), record, envelope)

    decision = await router(bus, model_of(bus, ROUTED)).route(task)

    assert (decision.stage, decision.cost_usd) == ("classifier", 0)


async def test_a_task_that_has_a_state_is_not_routed_again(scene: Any, rag: Rag) -> None:
    task = await scene.submit(scene.samples.submission(request=NOBODY_KNOWS))
    event = parse(await scene.next_delivery("TASKS"))
    orchestrator = Orchestrator(scene.bus, router(scene.bus).route)

    await orchestrator.apply(event)
    await orchestrator.apply(event)

    assert rag.asked == 1
    assert len(await scene.states(task)) == 1


# -- explain


async def test_explain_tells_each_stage_and_calls_no_model(bus: Bus, rag: Rag) -> None:
    rag.vector = UNSURE
    explained = await router(bus, model_of(bus)).explain(ExplainRoute(tenant="acme", request=NOBODY_KNOWS))

    outcomes = {report.stage: report.outcome for report in explained.stages}
    assert outcomes == {
        "explicit": "passed", "rules": "passed", "classifier": "passed", "model": "would_be_asked",
    }  # fmt: skip
    assert explained.stages[2].probabilities == pytest.approx({"feature": 1 / 3, "review": 1 / 3, "question": 1 / 3})
    assert (explained.decision.stage, explained.decision.cost_usd) == ("model", 0)


async def test_explain_can_assume_a_model_that_is_not_there(bus: Bus, rag: Rag) -> None:
    rag.vector = UNSURE
    asked = ExplainRoute(tenant="acme", request=NOBODY_KNOWS)

    as_it_is = await router(bus).explain(asked)
    assumed = await router(bus).explain(asked.model_copy(update={"assume_model": True}))

    assert as_it_is.decision.stage == "classifier"
    assert assumed.decision.stage == "model"


@pytest.mark.parametrize(
    ("request_text", "route", "stage"), [("Login is broken", "fix", "rules"), (NOBODY_KNOWS, "review", "classifier")]
)
async def test_a_request_about_existing_work_is_taken_for_nothing_else_where_no_repository_is_given(
    bus: Bus, rag: Rag, samples: Any, request_text: str, route: Route, stage: str
) -> None:
    asked = ExplainRoute(tenant="acme", request=request_text, new_project=True)
    explained = (await router(bus).explain(asked)).decision
    routed = await router(bus).route(samples.submission(request=request_text, project=NewProject()))

    assert (routed.route, routed.stage) == (explained.route, explained.stage) == (route, stage)
    assert routed.reason == explained.reason
    assert routed.reason.endswith("; the task would ask for a repository")


async def test_explain_is_asked_over_the_bus(bus: Bus, rag: Rag) -> None:
    async with announced(bus) as micro:
        await answer(micro, "explain", ExplainRoute, router(bus).explain)
        asked = ExplainRoute(tenant="acme", request=NOBODY_KNOWS)
        explained = await request(bus, "admin", "explain", asked, RouteExplained)

    assert explained.decision.route == "review"
    assert explained.decision.difficulty == "hard"


@contextlib.asynccontextmanager
async def announced(bus: Bus) -> AsyncIterator[Any]:
    micro = await announce(bus, "admin", "0.1.0")
    try:
        yield micro
    finally:
        await micro.stop()


# -- what ships


async def test_the_shipped_weights_fit_the_cues_of_this_version() -> None:
    shipped = shipped_classifier()

    assert set(shipped.routes) == {"feature", "fix", "review", "design", "question"}
    assert set(shipped.difficulties) == {"easy", "medium", "hard"}


async def test_asking_a_model_of_unknown_price_costs_nothing_because_nobody_asks_it() -> None:
    assert call_usd("claude-haiku-5-5", None) > 0
    assert call_usd("nobody-knows-this-one", None) == 0
