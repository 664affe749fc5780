"""What openapi.json promises, tried out with generated requests against the real application (property-based testing by
Schemathesis): it never fails inside, answers as described, and refuses what does not fit."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import schemathesis
from joserfc.jwk import OKPKey
from pydantic import SecretStr
from schemathesis import checks
from schemathesis.config import SchemathesisConfig
from schemathesis.core.parameters import ParameterLocation
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks as openapi_checks
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, Envelope, KeyValue, announce, answer, provision
from worksite.common.health import Health
from worksite.common.messages import (
    DeadLetter,
    ExplainRoute,
    Message,
    RedriveLetter,
    RedriveOutcome,
    RouteExplained,
    SearchRequest,
    SearchResponse,
    TaskEntry,
)
from worksite.common.testing import start_nats
from worksite.common.testing.examples import all_messages, submit_task, task_state
from worksite.gateway.app import create_app
from worksite.gateway.domain.uploads import FORMATS
from worksite.gateway.main import built
from worksite.gateway.settings import GatewaySettings

ROOT = Path(__file__).parents[3]
DOCUMENT = Path(__file__).parents[1] / "openapi.json"
EXAMPLES = 10
PLENTY = 10**6
CONFIG = SchemathesisConfig.from_dict(
    {
        "seed": 1,
        "generation": {"max-examples": EXAMPLES, "deterministic": True, "database": "none"},
        "phases": {"coverage": {"enabled": True}},
    }
)
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.negative_data_rejection,
    openapi_checks.unsupported_method,
]
QUEUED, ENDED = "01a203cffce2730f81be89a5177da8e1", "01a203cffce2730f81be89a5177da8e2"

DEAD = next(message for message in all_messages() if isinstance(message, DeadLetter))
EXPLAINED = next(message for message in all_messages() if isinstance(message, RouteExplained))

api = schemathesis.openapi.from_dict(json.loads(DOCUMENT.read_text()), config=CONFIG)


@schemathesis.serializer(*FORMATS)
def raw(_: schemathesis.SerializationContext, value: Any) -> Any:
    """Archives go out as they are."""
    return getattr(value, "data", value)


@dataclass(frozen=True)
class Served:
    """The application in the event loop of a thread, because Schemathesis asks synchronously."""

    loop: asyncio.AbstractEventLoop
    client: httpx.AsyncClient
    token: str

    def answer(self, case: schemathesis.Case) -> httpx.Response:
        """What the application says to a case."""
        asked = case.as_transport_kwargs(base_url="http://gateway")
        headers = dict(asked["headers"])
        if "/v1/" in asked["url"] and not leaves_out_the_token(case):
            headers["Authorization"] = f"Bearer {self.token}"
        content = asked.get("data", b"")
        body = {"data": content} if isinstance(content, dict) else {"content": content}
        if "json" in asked:
            body = {"json": asked["json"]}
        call = self.client.request(asked["method"], asked["url"], params=asked["params"], headers=headers, **body)
        return asyncio.run_coroutine_threadsafe(call, self.loop).result(timeout=10)


def leaves_out_the_token(case: schemathesis.Case) -> bool:
    """Is that what is wrong with this case?"""
    return getattr(case.meta.phase.data, "parameter", None) == "Authorization"


def is_well_meant(case: schemathesis.Case, place: ParameterLocation) -> bool:
    """Is this part of the case as it should be?"""
    part = case.meta.components.get(place)
    return part is not None and part.mode is GenerationMode.POSITIVE


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, issuer_key: OKPKey, mint: Any) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("schemathesis")
    settings = GatewaySettings(
        policy_dir=ROOT / "policies",
        state_dir=folder / "gateway",
        issuer_key=SecretStr(json.dumps(issuer_key.as_dict(private=True))),
        rate_per_principal=PLENTY,
        burst_per_principal=PLENTY,
        rate_per_tenant=PLENTY,
        burst_per_tenant=PLENTY,
        rate_per_address=PLENTY,
        burst_per_address=PLENTY,
    )
    ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event, httpx.AsyncClient]] = Future()
    with start_nats(folder) as nats:
        thread = threading.Thread(target=asyncio.run, args=(serve(nats.url, settings, ready),))
        thread.start()
        loop, stop, client = ready.result(timeout=30)
        yield Served(loop, client, mint(roles=["developer", "operator"]))
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def serve(nats_url: str, settings: GatewaySettings, ready: Future[Any]) -> None:
    """The application, which knows two tasks, and somebody who answers for rag and admin; until stopped."""
    stop, bus = asyncio.Event(), await Bus.connect(BusSettings(nats_url, "test"))
    await provision(bus, 1 << 30)
    rag = await announce(bus, "rag", "0.0.1")
    await answer(rag, "search", SearchRequest, found_nothing)
    admin = await announce(bus, "admin", "0.0.1")
    await answer(admin, "redrive", RedriveLetter, redriven)
    await answer(admin, "explain", ExplainRoute, explained)
    await add_tasks(bus)
    await bus.publish(
        subjects.dead_subject("builder", "acme"), DEAD, Envelope(DEAD.ce_type(), "builder", "acme", ENDED)
    )
    async with built(settings, bus, stop) as gateway:
        transport = httpx.ASGITransport(create_app(gateway, Health(), settings), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport) as client:
            ready.set_result((asyncio.get_running_loop(), stop, client))
            await stop.wait()
    await rag.stop()
    await admin.stop()
    await bus.close()


async def add_tasks(bus: Bus) -> None:
    """One that waits, and one that has ended, with all that it made; its events come to an end as well."""
    store, ended = KeyValue(bus, subjects.TASKS), task_state().model_copy(update={"task": ENDED})
    envelope = Envelope(ended.ce_type(), "admin", "acme", ENDED)
    await bus.publish(subjects.state_subject("acme", ENDED), ended, envelope)
    for task, state in ((QUEUED, None), (ENDED, ended)):
        entry = TaskEntry(state=state, submitted=submit_task(task=task), sequence=0)
        await store.create(f"acme.{task}", entry.to_json())


async def redriven(_: RedriveLetter) -> Message:
    return RedriveOutcome(redriven=True)


async def explained(_: ExplainRoute) -> Message:
    return EXPLAINED


async def found_nothing(_: SearchRequest) -> Message:
    return SearchResponse(results=(), reranked=False, timings_ms={"total": 0.1})


@api.parametrize()
def test_the_interface_is_as_it_is_described(case: schemathesis.Case, served: Served) -> None:
    if "task_id" in case.path_parameters and is_well_meant(case, ParameterLocation.PATH):
        case.path_parameters["task_id"] = ENDED if case.method == "GET" else QUEUED
    if "sequence" in case.path_parameters and is_well_meant(case, ParameterLocation.PATH):
        case.path_parameters["sequence"] = "1"
    answered = served.answer(case)

    case.validate_response(answered, checks=CHECKS)
