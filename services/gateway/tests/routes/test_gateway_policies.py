"""The policies as they ship, as they are documented, and as they change while the gateway runs."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client import REGISTRY
from worksite.common import subjects
from worksite.common.bus import Bus
from worksite.common.health import Health
from worksite.common.messages import Approval, AuditRecord, TaskOptions
from worksite.common.policy import Policies
from worksite.common.settings import SettingsError
from worksite.gateway import openapi, policies
from worksite.gateway.app import create_app
from worksite.gateway.domain.permits import asker, circumstances, resource_of
from worksite.gateway.domain.principal import ROLES, Principal
from worksite.gateway.gateway import Gateway
from worksite.gateway.main import built
from worksite.gateway.settings import GatewaySettings

Mint = Callable[..., str]
POLICIES = Path(__file__).parents[4] / "policies"
README = (POLICIES / "README.md").read_text()
ABSENT = {"task_id": "0" * 32, "name": "spec.md", "upload_id": "0" * 64, "document_id": "0" * 32, "sequence": "1"}
DIGEST = "ab" * 32
(EXAMPLE,) = re.findall(r"```cedar\n(.*?)```", README, re.S)
CLOSED = '@id("closed") forbid (principal, action, resource);'


def documented() -> dict[tuple[str, str], dict[str, bool]]:
    """The table of routes and roles."""
    header, *rows = re.findall(r"^\| (?:route \||`[A-Z]+ /).*$", README, re.M)
    roles = [cell.strip() for cell in header.split("|")[2:-1]]
    table: dict[tuple[str, str], dict[str, bool]] = {}
    for row in rows:
        route, *said = [cell.strip() for cell in row.split("|")[1:-1]]
        method, path = route.strip("`").split()
        table[method, path] = {role: {"yes": True, "no": False}[word] for role, word in zip(roles, said, strict=True)}
    return table


def routes() -> set[tuple[str, str]]:
    paths = json.loads(openapi.document())["paths"]
    return {(method.upper(), path) for path, ops in paths.items() for method, op in ops.items() if "security" in op}


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["type"].removeprefix("urn:worksite:problem:")


async def records(bus: Bus, kind: str) -> list[AuditRecord]:
    stored = await bus.read("AUDIT", subjects.audit_subject("acme", kind), 0)
    return [AuditRecord.consume(one.data) for one in stored]


def test_the_table_of_the_policies_names_every_route_and_role() -> None:
    assert set(documented()) == routes()
    assert {frozenset(said) for said in documented().values()} == {ROLES}


@pytest.mark.asyncio
@pytest.mark.parametrize("role", sorted(ROLES))
async def test_a_role_is_let_through_where_the_table_says_so_and_nowhere_else(
    stranger: httpx.AsyncClient, mint: Mint, role: str
) -> None:
    stranger.headers.update(bearer(mint(roles=[role])))
    let_through: dict[tuple[str, str], bool] = {}

    for method, path in sorted(routes()):
        answer = await stranger.request(method, path.format(**ABSENT))
        assert answer.status_code != 401
        let_through[method, path] = answer.status_code != 403

    assert let_through == {route: said[role] for route, said in documented().items()}


# -- the circumstances


@pytest.fixture
def own_policies(tmp_path: Path) -> Path:
    """A copy of those that ship, to be changed."""
    return Path(shutil.copytree(POLICIES, tmp_path / "policies"))


@pytest.mark.parametrize(("hour", "allowed"), [(6, False), (7, True), (17, True), (18, False)])
def test_the_example_of_the_document_keeps_long_tasks_to_office_hours(
    own_policies: Path, hour: int, allowed: bool
) -> None:
    (own_policies / "limits.cedar").write_text(EXAMPLE)
    ada = asker(Principal("ada", "acme", frozenset({"developer"}), "id", 0))
    when = datetime(2026, 11, 23, hour, 30, tzinfo=UTC)

    decisions = [
        Policies(own_policies).decide(ada, "submitTask", resource_of("acme", {}), circumstances(when, None, wanted))
        for wanted in (None, TaskOptions(deadline_seconds=3600), TaskOptions(deadline_seconds=3601))
    ]

    assert [decision.allow for decision in decisions] == [True, True, allowed]


def with_source(app: Any, host: str) -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(app, client=(host, 1)), base_url="http://gateway")


@pytest.mark.asyncio
async def test_the_example_of_the_document_holds_back_long_tasks_and_foreign_addresses(
    bus: Bus, settings: GatewaySettings, own_policies: Path, mint: Mint
) -> None:
    (own_policies / "limits.cedar").write_text(EXAMPLE.replace('"18h"', '"0h"'))  # whatever time it is here
    everything = bearer(mint(roles=sorted(ROLES)))

    async with built(settings.model_copy(update={"policy_dir": own_policies}), bus, asyncio.Event()) as gateway:
        app = create_app(gateway, Health(), settings)
        inside, outside = with_source(app, "::ffff:10.20.3.4"), with_source(app, "fe80::1%eth0")
        async with inside, outside:
            short, long = [
                await inside.post(
                    "/v1/tasks", headers=everything, json={"request": "x", "options": {"deadline_seconds": n}}
                )
                for n in (3600, 3601)
            ]
            letters = [await one.delete("/v1/dead-letters/1", headers=everything) for one in (inside, outside)]

    assert (short.status_code, problem(long)) == (202, (403, "forbidden"))
    assert [problem(answer) for answer in letters] == [(404, "not-found"), (403, "forbidden")]
    told = [(record.action, record.resource, record.reason) for record in await records(bus, "denied")]
    assert told == [
        ("submitTask", "Tenant::acme", "long-tasks-in-office-hours"),
        ("purgeDeadLetter", "DeadLetter::1", "dead-letters-from-the-office"),
    ]


@pytest.mark.asyncio
async def test_a_task_that_may_not_use_so_much_is_not_submitted(
    bus: Bus, settings: GatewaySettings, own_policies: Path, mint: Mint, admin: Any
) -> None:
    (own_policies / "rounds.cedar").write_text(
        'forbid (principal, action == Worksite::Action::"submitTask", resource)'
        "when { context has budget && context.budget.rounds > 2 };"
    )
    async with built(settings.model_copy(update={"policy_dir": own_policies}), bus, asyncio.Event()) as gateway:
        async with with_source(create_app(gateway, Health(), settings), "10.0.0.1") as client:
            answers = [
                await client.post(
                    "/v1/tasks", headers=bearer(mint()), json={"request": "x", "options": {"max_rounds": rounds}}
                )
                for rounds in (2, 3)
            ]

    assert [answer.status_code for answer in answers] == [202, 403]
    assert [command.options.max_rounds for command, _ in await admin.submitted()] == [2]


# -- files that change


@pytest.fixture
def quick_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    followed = policies.followed
    monkeypatch.setattr(policies, "followed", lambda folder: followed(folder, look_seconds=0.005))


def counted(result: str) -> float:
    return REGISTRY.get_sample_value("worksite_gateway_policy_reloads_total", {"result": result}) or 0


@pytest.mark.asyncio
async def test_a_running_gateway_takes_up_changed_policies_and_keeps_the_good_ones_when_they_are_broken(
    bus: Bus,
    settings: GatewaySettings,
    own_policies: Path,
    mint: Mint,
    quick_looks: None,
    wait_until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
) -> None:
    taken, refused = counted("taken"), counted("refused")
    extra = own_policies / "extra.cedar"
    async with built(settings.model_copy(update={"policy_dir": own_policies}), bus, asyncio.Event()) as gateway:
        async with with_source(create_app(gateway, Health(), settings), "10.0.0.1") as client:
            client.headers.update(bearer(mint()))
            seen = [(await client.get("/v1/tasks")).status_code]
            extra.write_text(CLOSED)
            await wait_until(lambda: counted("taken") == taken + 1)
            seen.append((await client.get("/v1/tasks")).status_code)
            extra.write_text("permit (")
            await wait_until(lambda: counted("refused") == refused + 1)
            await wait_until(lambda: REGISTRY.get_sample_value("worksite_gateway_policies_refused") == 1)
            seen.append((await client.get("/v1/tasks")).status_code)
            ready = await client.get("/readyz")
            extra.unlink()
            await wait_until(lambda: REGISTRY.get_sample_value("worksite_gateway_policies_refused") == 0)
            seen.append((await client.get("/v1/tasks")).status_code)

    assert seen == [200, 403, 403, 200]
    assert ready.status_code == 200
    (line,) = [line for line in caplog.messages if "are not used" in line]
    assert "extra.cedar" in line
    assert "parse error" in line


@pytest.mark.asyncio
async def test_a_bad_file_refuses_the_start_in_one_line_that_names_it(
    bus: Bus, settings: GatewaySettings, own_policies: Path
) -> None:
    (own_policies / "bad.cedar").write_text('permit (principal, action == Worksite::Action::"fly", resource);')

    with pytest.raises(SettingsError, match=r"POLICY_DIR: .*bad\.cedar: .*fly") as refused:
        async with built(settings.model_copy(update={"policy_dir": own_policies}), bus, asyncio.Event()):
            pass

    assert len(str(refused.value).splitlines()) == 1


# -- what goes on record


@pytest.mark.asyncio
async def test_who_cancels_or_answers_anothers_task_is_on_record_and_who_does_it_to_the_own_is_not(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, mint: Mint, bus: Bus
) -> None:
    own, asked, cancelled = await submit(), await submit(), await submit()
    await admin.advance(asked, "needs_input", reason="Which?")
    token = mint(sub="olga", roles=["operator", "developer"])

    answers = [
        await client.post(f"/v1/tasks/{own}/cancel"),
        await client.post(f"/v1/tasks/{asked}/input", json={"text": "that"}, headers=bearer(token)),
        *[await client.post(f"/v1/tasks/{cancelled}/cancel", headers=bearer(token)) for _ in range(2)],
    ]

    assert [answer.status_code for answer in answers] == [202] * 4
    told = [
        (record.principal, record.action, record.resource, record.reason) for record in await records(bus, "allowed")
    ]
    assert told == [
        ("olga", "giveInput", f"Task::{asked}", "developers-work: the task of ada"),
        ("olga", "cancelTask", f"Task::{cancelled}", "developers-work, operators-cancel: the task of ada"),
    ]
    for stored in await bus.read("AUDIT", "ws.v1.audit.>", 0):
        assert token.split(".")[2].encode() not in stored.data


@pytest.mark.asyncio
async def test_an_approvers_word_is_on_record_and_one_that_is_not_taken_is_not(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any, mint: Mint, bus: Bus
) -> None:
    task = await submit()
    asked = Approval(gate="design", digest=DIGEST, expires_at=datetime.now(UTC) + timedelta(days=1))
    await admin.advance(task, "needs_input", approval=asked, reason="Waits.")
    bob, word = bearer(mint(sub="bob", roles=["approver"])), {"gate": "design", "approved": False, "digest": DIGEST}

    statuses = [
        (await client.post(f"/v1/tasks/{task}/approval", json=said, headers=bob)).status_code
        for said in (word | {"digest": "0" * 64}, word, word)
    ]

    assert statuses == [409, 202, 202]
    (record,) = await records(bus, "allowed")
    assert (record.principal, record.action, record.resource) == ("bob", "approveTask", f"Task::{task}")
    assert record.reason == f"approvers-approve: rejected design {DIGEST}"


@pytest.mark.asyncio
async def test_a_deleted_document_is_on_record_by_its_path_and_one_there_is_not_is_none(
    client: httpx.AsyncClient, bus: Bus
) -> None:
    sent = await client.post("/v1/knowledge/documents", json={"documents": [{"path": "a/b.md", "text": "x"}]})
    document = sent.json()["documents"][0]["id"]

    statuses = [
        (await client.delete(f"/v1/knowledge/documents/{name}")).status_code for name in (document, "0" * 32, "x")
    ]

    assert statuses == [202, 404, 404]
    (record,) = await records(bus, "allowed")
    assert (record.action, record.resource) == ("deleteDocument", f"Document::{document}")
    assert record.reason == "developers-work: a/b.md"


@pytest.mark.asyncio
async def test_what_cannot_be_put_on_record_is_not_done(
    client: httpx.AsyncClient, gateway: Gateway, submit: Callable[..., Any], mint: Mint, bus: Bus
) -> None:
    task = await submit()
    await bus.jetstream.delete_stream("AUDIT")

    answer = await client.post(f"/v1/tasks/{task}/cancel", headers=bearer(mint(sub="bob")))

    assert answer.status_code == 503
    assert await bus.read("EVENTS", subjects.event_subject("acme", task, "gateway", "task", "cancel"), 0) == []
