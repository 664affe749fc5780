"""The process, its rights on the bus, its document and its metrics."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import SecretStr
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.health import Health
from worksite.common.messages import document_id
from worksite.common.settings import SettingsError
from worksite.common.testing import start_nats
from worksite.gateway import openapi
from worksite.gateway.app import create_app
from worksite.gateway.gateway import Gateway
from worksite.gateway.main import built
from worksite.gateway.settings import GatewaySettings

DOCUMENT = Path(__file__).parents[1] / "openapi.json"


def test_the_checked_in_interface_is_the_one_that_is_served() -> None:
    assert DOCUMENT.read_text() == openapi.document(), f"run python -m worksite.gateway.openapi {DOCUMENT}"


def test_the_check_notices_a_stale_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stale = tmp_path / "openapi.json"
    stale.write_text("{}")
    monkeypatch.setattr(sys, "argv", ["openapi", "--check", str(stale)])

    with pytest.raises(SystemExit, match="stale"):
        openapi.main()


def test_every_reference_in_the_document_leads_somewhere() -> None:
    text = DOCUMENT.read_text()
    document = json.loads(text)

    for name in {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]}:
        assert name in document["components"]["schemas"]


@pytest.mark.asyncio
async def test_the_served_document_describes_the_routes(stranger: httpx.AsyncClient) -> None:
    served = (await stranger.get("/openapi.json")).json()

    assert set(served["paths"]) == set(json.loads(DOCUMENT.read_text())["paths"])


@pytest.mark.asyncio
async def test_health_and_metrics_need_no_token(stranger: httpx.AsyncClient, mint: Callable[..., str]) -> None:
    for path in ("/healthz", "/readyz"):
        assert (await stranger.get(path)).status_code == 200
    await stranger.get(f"/v1/tasks/{'0' * 32}", headers={"Authorization": f"Bearer {mint()}"})
    await stranger.request("BREW", "/nowhere/at/all")

    metrics = (await stranger.get("/metrics")).text

    assert 'worksite_http_requests_total{method="GET",route="/v1/tasks/{task_id}",status="404"}' in metrics
    assert 'worksite_http_requests_total{method="other",route="unmatched",status="404"}' in metrics
    assert 'worksite_http_request_seconds_count{route="/v1/tasks/{task_id}"}' in metrics
    assert "/nowhere" not in metrics


@pytest.mark.asyncio
async def test_a_gateway_that_is_to_stop_parts_with_its_clients(stranger: httpx.AsyncClient, gateway: Gateway) -> None:
    assert "connection" not in (await stranger.get("/healthz")).headers
    gateway.stop.set()
    for path in ("/healthz", "/v1/tasks"):
        assert (await stranger.get(path)).headers["connection"] == "close"


@pytest.mark.asyncio
async def test_the_rights_that_the_subject_table_grants_are_enough(
    tmp_path: Path, settings: GatewaySettings, mint: Callable[..., str], admin: Any
) -> None:
    """The whole interface once, as the NATS user `gateway` instead of as one who may do everything."""
    granted = subjects.PERMISSIONS["gateway"]
    users = [
        {"user": "root", "password": "root"},
        {
            "user": "gateway",
            "password": "gateway",
            "permissions": {
                "publish": {"allow": list(granted.publish)},
                "subscribe": {"allow": list(granted.subscribe)},
                "allow_responses": True,
            },
        },
    ]
    with start_nats(tmp_path, f"authorization: {json.dumps({'users': users})}") as server:
        root = await Bus.connect(BusSettings(server.url, "test", "root", SecretStr("root")))
        await provision(root, 1 << 30)
        admin.bus = root
        bus = await Bus.connect(BusSettings(server.url, "gateway", "gateway", SecretStr("gateway")))
        async with (
            built(settings, bus, asyncio.Event()) as parts,
            httpx.AsyncClient(
                transport=httpx.ASGITransport(create_app(parts, Health(), settings)),
                base_url="http://gateway",
                headers={"Authorization": f"Bearer {mint()}"},
            ) as client,
        ):
            headers = {"Idempotency-Key": "k"}
            task = (await client.post("/v1/tasks", json={"request": "x"}, headers=headers)).json()["id"]
            await Artifacts(root).put(b"# x", "text/markdown")
            ref = await Artifacts(root).put(b"# x" * 100_000, "text/markdown")
            cancelled = await client.post(f"/v1/tasks/{task}/cancel")
            spec = {"spec": ref, "document": ref, "title": "x", "engine": "x", "criteria": 1}
            await admin.advance(task, "completed", spec=spec)
            uploaded = await client.post(
                "/v1/uploads", content=b"# v2 git bundle\n", headers={"Content-Type": "application/x-git-bundle"}
            )
            upload = uploaded.json()["id"]
            waiting = {"request": "x", "project": {"upload": upload}}
            asking = (await client.post("/v1/tasks", json=waiting)).json()["id"]
            await admin.advance(asking, "needs_input")
            answers = [
                cancelled,
                await client.get(f"/v1/uploads/{upload}"),
                await client.post(f"/v1/tasks/{asking}/input", json={"text": "x"}, headers=headers),
                await client.post("/v1/tasks", json={"request": "x"}, headers=headers),
                await client.get("/v1/tasks"),
                await client.get(f"/v1/tasks/{task}"),
                await client.get(f"/v1/tasks/{task}/events"),
                await client.get(f"/v1/tasks/{task}/artifacts/spec.md"),
                await client.post("/v1/knowledge/documents", json={"documents": [{"path": "a.md", "text": "x"}]}),
                await client.get("/v1/knowledge/documents"),
                await client.delete(f"/v1/knowledge/documents/{document_id('a.md')}"),
            ]
            search = await client.post("/v1/search", json={"query": "x"})
            denied = await client.post("/v1/tasks", headers={"Authorization": f"Bearer {mint(roles=['viewer'])}"})
        records = await root.read("AUDIT", subjects.audit_subject("acme", "denied"), 0)
        await bus.close()
        await root.close()

    assert [answer.status_code for answer in answers] == [202, 200, 202, 202, 200, 200, 200, 200, 202, 200, 202]
    assert answers[-4].content == b"# x" * 100_000
    assert search.json()["type"] == "urn:worksite:problem:service-unavailable"  # may ask, but nobody is there
    assert denied.status_code == 403
    assert len(records) == 1


def test_the_process_says_in_one_line_why_it_cannot_start() -> None:
    environment = {"PATH": os.environ["PATH"]}

    done = subprocess.run(
        [sys.executable, "-m", "worksite.gateway.main"], env=environment, capture_output=True, text=True, timeout=60
    )

    assert done.returncode == 2
    assert done.stderr.startswith("gateway: ")
    assert "ISSUER_KEY" in done.stderr
    assert len(done.stderr.splitlines()) == 1


@pytest.mark.asyncio
async def test_policies_that_cannot_be_used_keep_the_gateway_from_starting(
    bus: Bus, settings: GatewaySettings, tmp_path: Path
) -> None:
    broken = settings.model_copy(update={"policy_dir": tmp_path})

    with pytest.raises(SettingsError, match="POLICY_DIR"):
        async with built(broken, bus, asyncio.Event()):
            pass


@pytest.mark.asyncio
async def test_a_folder_that_cannot_be_used_keeps_the_gateway_from_starting(
    bus: Bus, settings: GatewaySettings, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    broken = settings.model_copy(update={"state_dir": tmp_path / "file"})

    with pytest.raises(SettingsError, match="STATE_DIR"):
        async with built(broken, bus, asyncio.Event()):
            pass


@pytest.mark.asyncio
async def test_without_an_issuer_key_there_is_no_token_endpoint(bus: Bus, settings: GatewaySettings) -> None:
    external = settings.model_copy(update={"issuer_key": None, "jwt_jwks_url": "https://issuer.example/keys"})
    async with built(external, bus, asyncio.Event()) as parts:
        app = create_app(parts, Health(), settings)
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://gateway") as client:
            answers = [await client.post("/oauth/token"), await client.get("/.well-known/jwks.json")]

    assert [answer.status_code for answer in answers] == [404, 404]
