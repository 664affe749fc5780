"""A gateway on a real nats-server, clients of it, and somebody who plays admin."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from fastapi import FastAPI
from joserfc import jwt
from joserfc.jwk import Key, OKPKey
from pydantic import SecretStr
from worksite.common import subjects
from worksite.common.bus import Bus, Envelope, KeyValue
from worksite.common.health import Health
from worksite.common.messages import (
    RouteDecision,
    StepRecord,
    SubmitTask,
    TaskEntry,
    TaskOptions,
    TaskState,
)
from worksite.gateway.app import create_app
from worksite.gateway.auth.keys import AllowList
from worksite.gateway.gateway import Gateway
from worksite.gateway.main import built
from worksite.gateway.settings import GatewaySettings

ROOT = Path(__file__).parents[3]
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MAX_BODY_BYTES = 64 * 1024
MAX_UPLOAD_BYTES = 1 << 20
ALL_YOU_WANT = 10**6

Mint = Callable[..., str]


@pytest.fixture(scope="session")
def issuer_key() -> OKPKey:
    return OKPKey.generate_key("Ed25519", {"kid": "own"})


@pytest.fixture(scope="session")
def mint(issuer_key: OKPKey) -> Mint:
    """A token; keyword arguments replace claims (None leaves one out), `key` and `header` the rest."""

    def minted(key: Key = issuer_key, header: dict[str, Any] | None = None, **changed: Any) -> str:
        now = int(time.time())
        claims = {
            "iss": "worksite",
            "aud": "worksite",
            "sub": "ada",
            "jti": f"id-{time.perf_counter_ns()}",
            "iat": now,
            "nbf": now,
            "exp": now + 600,
            "tenant": "acme",
            "roles": ["developer"],
        } | changed
        claims = {name: value for name, value in claims.items() if value is not None}
        full = {"alg": "EdDSA", "kid": key.kid} | (header or {})
        return jwt.encode(full, claims, key, registry=AllowList([full["alg"]]))

    return minted


@pytest.fixture
def settings(issuer_key: OKPKey, tmp_path: Path) -> GatewaySettings:
    return GatewaySettings(
        policy_dir=ROOT / "policies",
        issuer_key=SecretStr(json.dumps(issuer_key.as_dict(private=True))),
        max_body_bytes=MAX_BODY_BYTES,
        max_upload_bytes=MAX_UPLOAD_BYTES,
        state_dir=tmp_path / "gateway",
        max_knowledge_bytes=4 * MAX_BODY_BYTES,
        rate_per_principal=ALL_YOU_WANT,
        burst_per_principal=ALL_YOU_WANT,
        rate_per_tenant=ALL_YOU_WANT,
        burst_per_tenant=ALL_YOU_WANT,
        rate_per_address=ALL_YOU_WANT,
        burst_per_address=ALL_YOU_WANT,
    )


@pytest_asyncio.fixture
async def gateway(bus: Bus, settings: GatewaySettings) -> AsyncIterator[Gateway]:
    async with built(settings, bus, asyncio.Event()) as parts:
        yield parts


@pytest.fixture
def app(gateway: Gateway, settings: GatewaySettings) -> FastAPI:
    return create_app(gateway, Health(), settings)


@pytest_asyncio.fixture
async def stranger(app: FastAPI) -> AsyncIterator[httpx.AsyncClient]:
    """A client without a token."""
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
        yield client


@pytest_asyncio.fixture
async def client(stranger: httpx.AsyncClient, mint: Mint) -> httpx.AsyncClient:
    """A developer of the tenant acme."""
    stranger.headers["Authorization"] = f"Bearer {mint()}"
    return stranger


def state_of(submitted: SubmitTask, status: str = "running", **changed: Any) -> TaskState:
    """What admin would write about a task."""
    step = StepRecord(
        step="1-import",
        agent="builder",
        round=0,
        status="ok",
        summary="imported",
        engine=None,
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=1.5),
        cost_usd=0.25,
    )
    fields: dict[str, Any] = {
        "task": submitted.task,
        "tenant": submitted.tenant,
        "principal": submitted.principal,
        "request": submitted.request,
        "project": submitted.project,
        "options": TaskOptions(),
        "route": RouteDecision(route="feature", stage="default", reason="by default", confidence=1, latency_ms=0),
        "status": status,
        "history": (step,),
        "created_at": NOW,
        "updated_at": NOW,
        "deadline": NOW + timedelta(hours=1),
        "cause": "cause",
    }
    return TaskState(**fields | changed)


class Admin:
    """Plays the admin service: takes tasks, writes states."""

    def __init__(self, bus: Bus) -> None:
        self.bus = bus

    async def submitted(self, tenant: str = "acme") -> list[tuple[SubmitTask, dict[str, str]]]:
        """Everything that waits in TASKS, with headers."""
        found = await self.bus.read("TASKS", subjects.task_subject(tenant), 0)
        return [(SubmitTask.consume(stored.data), stored.headers) for stored in found]

    async def take_up_all(self, tenant: str = "acme") -> None:
        """As consuming the queue would: the messages are gone."""
        await self.bus.jetstream.purge_stream("TASKS", subject=subjects.task_subject(tenant))

    async def write(self, state: TaskState) -> int:
        """Append a state event and bring the read model up to date."""
        subject = subjects.state_subject(state.tenant, state.task)
        envelope = Envelope(state.ce_type(), "admin", state.tenant, state.task)
        sequence = await self.bus.publish(subject, state, envelope)
        store, key = KeyValue(self.bus, subjects.TASKS), f"{state.tenant}.{state.task}"
        found = await store.get(key)
        assert found is not None
        submitted = TaskEntry.consume(found.value).submitted
        entry = TaskEntry(state=state, submitted=submitted, sequence=sequence)
        await store.update(key, entry.to_json(), found.revision)
        return sequence

    async def advance(self, task: str, status: str = "running", tenant: str = "acme", **changed: Any) -> int:
        """Write a state about a task that is in the read model."""
        found = await KeyValue(self.bus, subjects.TASKS).get(f"{tenant}.{task}")
        assert found is not None
        return await self.write(state_of(TaskEntry.consume(found.value).submitted, status, **changed))


@pytest.fixture
def admin(bus: Bus) -> Admin:
    return Admin(bus)


@pytest.fixture
def submit(client: httpx.AsyncClient) -> Callable[..., Any]:
    """Submits a task; returns its id."""

    async def submitted(request: str = "Create auth system") -> str:
        answer = await client.post("/v1/tasks", json={"request": request})
        assert answer.status_code == 202, answer.text
        return answer.json()["id"]

    return submitted


@pytest.fixture
def wait_until() -> Callable[..., Any]:
    """Waits for a condition instead of for a time."""

    async def waited(condition: Callable[[], bool], seconds: float = 30) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.01)

    return waited
