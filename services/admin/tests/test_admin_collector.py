"""The collector on a real bus: what anything names stays, the rest goes, and every message is read once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import REGISTRY
from worksite.admin.collector import GRACE, SOURCES, Collector
from worksite.admin.domain.marks import Marks
from worksite.common.artifacts import Artifacts, Removed
from worksite.common.bus import Bus, Envelope, usage
from worksite.common.errors import ArtifactMissing
from worksite.common.messages import (
    ArtifactRef,
    BuildChange,
    CancelRequested,
    Report,
    Spec,
    TaskOptions,
    UploadedProject,
)

T0, KEPT = datetime(2026, 11, 22, tzinfo=UTC), timedelta(days=30)
MINUTE = timedelta(minutes=1)


def collector(bus: Bus, later: timedelta = timedelta()) -> Collector:
    """One that comes so much later."""
    return Collector(bus, lambda: datetime.now(UTC) + later)


async def put(bus: Bus, data: bytes = b"data") -> ArtifactRef:
    return await Artifacts(bus).put(data, "application/zip")


async def is_there(bus: Bus, ref: ArtifactRef) -> bool:
    try:
        await Artifacts(bus).get(ref)
    except ArtifactMissing:
        return False
    return True


async def name(scene: Any, ref: ArtifactRef) -> None:
    """A task's submission, which waits, with the artifact as its upload."""
    await scene.submit(scene.samples.submission(project=UploadedProject(archive=ref, format="zip")))


@pytest.mark.asyncio
async def test_what_nothing_names_goes_after_the_grace_and_not_before(bus: Bus) -> None:
    ref = await put(bus)

    assert await collector(bus, GRACE - MINUTE).turn() == Removed()
    assert await is_there(bus, ref)

    assert await collector(bus, GRACE + MINUTE).turn() == Removed(blobs=1, bytes=4)
    assert not await is_there(bus, ref)


@pytest.mark.asyncio
@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.stream)
async def test_what_anything_names_stays_until_that_has_expired(bus: Bus, source: Any) -> None:
    ref = await put(bus)
    subject = source.subject.replace("*", "a").replace(">", "a.b")
    envelope = Envelope("worksite.newer.v1", "newer", "acme", "0" * 32)  # from a version that we do not know
    await bus.publish_raw(
        subject, b'{"deep":[{"archive":' + ref.model_dump_json().encode() + b"}]}", envelope.headers()
    )

    collecting = collector(bus, source.max_age + GRACE - MINUTE)
    assert await collecting.turn() == Removed()
    assert await collector(bus, source.max_age + GRACE + MINUTE).turn() == Removed(blobs=1, bytes=4)


@pytest.mark.asyncio
async def test_how_full_stores_are_is_not_told_by_who_looks_once_an_hour(bus: Bus) -> None:
    await usage(bus, "KV_ledger")
    await bus.publish_raw("$KV.ledger.a", b"1", {})
    before = REGISTRY.get_sample_value("worksite_stream_bytes", {"stream": "KV_ledger"})
    await collector(bus).turn()
    assert REGISTRY.get_sample_value("worksite_stream_bytes", {"stream": "KV_ledger"}) == before == 0


@pytest.mark.asyncio
async def test_every_message_is_read_once(scene: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    read, seen = scene.bus.read, Counter[tuple[str, int]]()

    async def counted(stream: str, *arguments: Any) -> Any:
        batch = await read(stream, *arguments)
        seen.update((stream, stored.sequence) for stored in batch if not stream.startswith("OBJ_"))
        return batch

    monkeypatch.setattr(scene.bus, "read", counted)
    collecting = collector(scene.bus, GRACE + MINUTE)
    for n in range(3):
        await name(scene, await put(scene.bus, b"%d" % n))
        assert await collecting.turn() == Removed()
    assert seen == {("TASKS", sequence): 1 for sequence in (1, 2, 3)}


@pytest.mark.asyncio
async def test_a_stream_that_was_made_anew_is_read_from_its_beginning(scene: Any) -> None:
    collecting, ref = collector(scene.bus, GRACE + MINUTE), await put(scene.bus)
    for _ in range(3):
        await name(scene, ref)
    await collecting.turn()
    config = (await scene.bus.jetstream.stream_info("TASKS")).config
    await scene.bus.jetstream.delete_stream("TASKS")
    await scene.bus.jetstream.add_stream(config)
    other = await put(scene.bus, b"other")
    await name(scene, other)

    await collecting.turn()

    assert await is_there(scene.bus, other)


@pytest.mark.asyncio
async def test_several_at_once_remove_each_artifact_once(scene: Any) -> None:
    kept, *_ = [await put(scene.bus, b"%d" % n) for n in range(20)]
    await name(scene, kept)

    removed = await asyncio.gather(*(collector(scene.bus, GRACE + MINUTE).turn() for _ in range(3)))

    assert sum(each.blobs for each in removed) == 19
    assert await is_there(scene.bus, kept)


@pytest.mark.asyncio
async def test_collecting_goes_on_after_the_bus_was_away(scene: Any, nats_server: Any) -> None:
    ref, stop = await put(scene.bus), asyncio.Event()
    nats_server.kill()
    collecting = asyncio.create_task(collector(scene.bus, GRACE + MINUTE).run(stop, 0.01))
    await asyncio.sleep(0.05)
    nats_server.start()

    async with asyncio.timeout(30):
        while not scene.bus.connected or await is_there(scene.bus, ref):
            await asyncio.sleep(0.01)
    stop.set()
    await collecting


@pytest.mark.asyncio
async def test_collecting_goes_on_after_a_fault_of_its_own(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    ref, stop, read = await put(bus), asyncio.Event(), bus.read

    async def broken(stream: str, *rest: Any) -> Any:
        if stream != "EVENTS":
            return await read(stream, *rest)
        monkeypatch.setattr(bus, "read", read)
        raise ValueError("a fault of ours")

    monkeypatch.setattr(bus, "read", broken)
    collecting = asyncio.create_task(collector(bus, GRACE + MINUTE).run(stop, 0.01))
    async with asyncio.timeout(30):
        while await is_there(bus, ref) and not collecting.done():
            await asyncio.sleep(0.01)
    stop.set()
    await collecting


def test_the_grace_is_longer_than_any_step_by_more_than_clocks_differ() -> None:
    [longest] = [bound.le for bound in TaskOptions.model_fields["deadline_seconds"].metadata if hasattr(bound, "le")]
    assert timedelta(seconds=longest) + timedelta(hours=12) < GRACE


@pytest.mark.parametrize("document", [Spec, Report])
def test_no_artifact_names_another(document: Any) -> None:
    assert "ArtifactRef" not in document.model_json_schema()["$defs"]
    assert "ArtifactRef" in BuildChange.model_json_schema()["$defs"]


def test_what_a_client_says_marks_nothing() -> None:
    marks, ref = Marks(), ArtifactRef(sha256="a" * 64, size=1, media_type="text/plain")
    said = CancelRequested(task="0" * 32, tenant="acme", principal="ada", reason=ref.model_dump_json())
    marks.add(said.to_json(), T0)
    assert ref.sha256 not in marks
    marks.add(ref.model_dump_json().encode(), T0)
    assert ref.sha256 in marks


def test_a_mark_lasts_as_long_as_the_longest_that_needs_it() -> None:
    marks, ref = Marks(), ArtifactRef(sha256="a" * 64, size=1, media_type="text/plain")
    for until in (T0, T0 + KEPT, T0 + MINUTE):
        marks.add(ref.model_dump_json().encode(), until)
    marks.forget(T0 + KEPT)
    assert ref.sha256 in marks
    marks.forget(T0 + KEPT + MINUTE)
    assert ref.sha256 not in marks
