"""/v1/tasks/{id}/artifacts: what a task has made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus
from worksite.common.messages import ArtifactRef, Changeset, Judgement, ModelUse, SpecWritten, StepRecord
from worksite.gateway.gateway import Gateway
from worksite.gateway.memory import ByteBudget

ALL = {
    "spec.json": (b'{"title": "x"}', "application/json"),
    "spec.md": (b"# x", "text/markdown; charset=utf-8"),
    "branch.bundle": (b"bundle" * 100_000, "application/x-git-bundle"),
    "branch.zip": (b"zip", "application/zip"),
    "branch.patch": (b"From 0", "text/x-patch; charset=utf-8"),
    "report.json": (b'{"verdict": "PASS"}', "application/json"),
    "report.md": (b"<script>alert(1)</script>", "text/markdown; charset=utf-8"),
}
NOW = datetime(2026, 11, 23, tzinfo=UTC)


@pytest.fixture
def finished(bus: Bus, submit: Callable[..., Any], admin: Any) -> Callable[..., Any]:
    """A completed task with every artifact."""

    async def task() -> str:
        refs = {name: await Artifacts(bus).put(data, "text/html") for name, (data, _) in ALL.items()}
        return await _finished(submit, admin, refs)

    return task


async def _finished(submit: Callable[..., Any], admin: Any, refs: dict[str, ArtifactRef]) -> str:
    task = await submit()
    spec = SpecWritten(spec=refs["spec.json"], document=refs["spec.md"], title="x", engine="blueprint:x@1", criteria=1)
    changeset = Changeset(
        base_sha="0" * 40,
        head_sha="1" * 40,
        branch=f"worksite/{task}",
        bundle=refs["branch.bundle"],
        archive=refs["branch.zip"],
        patch=refs["branch.patch"],
        summary="x",
        engine="blueprint:x@1",
        files_changed=1,
    )
    judgement = Judgement(
        verdict="PASS", report=refs["report.json"], document=refs["report.md"], summary="x", engine="validator"
    )
    await admin.advance(task, "completed", spec=spec, changeset=changeset, judgement=judgement)
    return task


@pytest.mark.asyncio
async def test_every_artifact_of_a_finished_task_can_be_fetched(
    client: httpx.AsyncClient, finished: Callable[..., Any]
) -> None:
    task = await finished()

    listed = (await client.get(f"/v1/tasks/{task}/artifacts")).json()["artifacts"]

    assert [entry["name"] for entry in listed] == [*ALL, "cost.json"]
    assert (await client.get(f"/v1/tasks/{task}")).json()["artifacts"] == [*ALL, "cost.json"]
    for entry in listed[:-1]:
        data, media_type = ALL[entry["name"]]
        answer = await client.get(entry["links"]["self"])
        assert answer.content == data
        assert answer.headers["content-type"] == entry["media_type"] == media_type
        assert answer.headers["etag"] == f'"{hashlib.sha256(data).hexdigest()}"' == f'"{entry["sha256"]}"'
        assert int(answer.headers["content-length"]) == entry["size"]
        assert answer.headers["content-disposition"] == f'attachment; filename="{entry["name"]}"'
        assert answer.headers["x-content-type-options"] == "nosniff"


@pytest.mark.asyncio
async def test_what_the_client_has_is_not_sent_again(client: httpx.AsyncClient, finished: Callable[..., Any]) -> None:
    url = f"/v1/tasks/{await finished()}/artifacts/spec.md"
    tag = (await client.get(url)).headers["etag"]

    same = await client.get(url, headers={"If-None-Match": tag})
    listed = await client.get(url, headers={"If-None-Match": f'"x", W/{tag}'})
    any_tag = await client.get(url, headers={"If-None-Match": " * "})

    for answer in (same, listed, any_tag):
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", tag)
    for other in ('"x"', f'"x{tag[1:]}', tag[1:-1], '"*"', ""):
        assert (await client.get(url, headers={"If-None-Match": other})).status_code == 200


@pytest.mark.asyncio
async def test_an_artifact_there_is_no_memory_for_is_refused_for_now(
    client: httpx.AsyncClient, finished: Callable[..., Any], gateway: Gateway
) -> None:
    task = await finished()
    size = len(ALL["branch.bundle"][0])
    object.__setattr__(gateway, "artifact_memory", ByteBudget(size + 10, patience_seconds=0.05))

    async with gateway.artifact_memory.take(20):
        large = await client.get(f"/v1/tasks/{task}/artifacts/branch.bundle")
    free_again = [(await client.get(f"/v1/tasks/{task}/artifacts/branch.bundle")).status_code for _ in range(3)]

    assert (large.status_code, large.headers["retry-after"]) == (503, "2")
    assert large.json()["type"] == "urn:worksite:problem:service-unavailable"
    assert free_again == [200, 200, 200]


@pytest.mark.asyncio
async def test_the_cost_adds_up_per_step(client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any) -> None:
    task = await submit()
    await admin.advance(task)

    answer = await client.get(f"/v1/tasks/{task}/artifacts/cost.json")

    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == {
        "task": task,
        "currency": "USD",
        "total_usd": 0.25,
        "routing": {"stage": "default", "usd": 0, "models": []},
        "rounds": [{"round": 0, "usd": 0.25}],
        "steps": [
            {
                "step": "1-import",
                "agent": "builder",
                "round": 0,
                "engine": None,
                "tier": None,
                "usd": 0.25,
                "seconds": 1.5,
                "models": [],
            },
        ],
    }


@pytest.mark.asyncio
async def test_the_cost_of_a_step_is_told_by_model_and_by_what_was_cached(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any
) -> None:
    task = await submit()
    use = ModelUse(
        model="m", calls=2, wasted=1, input_tokens=3, cache_read_tokens=4, cache_write_5m_tokens=5,
        cache_write_1h_tokens=6, output_tokens=7, cost_micro_usd=8, in_doubt_micro_usd=1,
    )  # fmt: skip
    record = StepRecord(
        step="3-build", agent="builder", round=1, status="ok", summary="", engine="model:m",
        started_at=NOW, finished_at=NOW, cost_usd=0.000008, model_use=(use,), tier="large",
    )  # fmt: skip
    await admin.advance(task, history=(record,))

    document = (await client.get(f"/v1/tasks/{task}/artifacts/cost.json")).json()

    assert document["total_usd"] == 0.000008
    assert document["rounds"] == [{"round": 0, "usd": 0}, {"round": 1, "usd": 0.000008}]
    assert document["steps"][0]["tier"] == "large"
    assert document["steps"][0]["models"] == [
        {
            "model": "m",
            "calls": 2,
            "wasted": 1,
            "input_tokens": {"uncached": 3, "cached": 4, "written_5m": 5, "written_1h": 6},
            "output_tokens": 7,
            "usd": 0.000008,
            "usd_in_doubt": 0.000001,
        }
    ]


@pytest.mark.asyncio
async def test_what_is_not_there_yet_is_not_found(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any
) -> None:
    task = await submit()
    assert (await client.get(f"/v1/tasks/{task}/artifacts")).json() == {"artifacts": []}
    before = await client.get(f"/v1/tasks/{task}/artifacts/cost.json")
    await admin.advance(task)

    for name in ["spec.md", "report.json", "branch.zip", "nonsense", "..%2f..%2fetc%2fpasswd"]:
        answer = await client.get(f"/v1/tasks/{task}/artifacts/{name}")
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:worksite:problem:not-found")
    assert before.status_code == 404


@pytest.mark.asyncio
async def test_an_artifact_that_has_expired_is_not_found(
    client: httpx.AsyncClient, submit: Callable[..., Any], admin: Any
) -> None:
    gone = ArtifactRef(sha256="f" * 64, size=1, media_type="x")
    task = await _finished(submit, admin, dict.fromkeys(ALL, gone))

    answer = await client.get(f"/v1/tasks/{task}/artifacts/spec.md")

    assert answer.status_code == 404
    assert "expired" in answer.json()["detail"]
