"""Blobs named by their hash."""

from datetime import UTC, datetime, timedelta

import pytest
from worksite.common.artifacts import Artifacts
from worksite.common.errors import ArtifactCorrupt, ArtifactMissing
from worksite.common.testing import examples


@pytest.mark.asyncio
async def test_a_blob_larger_than_a_chunk_comes_back_whole(bus):
    artifacts = Artifacts(bus)
    data = bytes(range(256)) * 2000
    assert await artifacts.get(await artifacts.put(data, "application/octet-stream")) == data


@pytest.mark.asyncio
async def test_an_empty_blob_comes_back_empty(bus):
    artifacts = Artifacts(bus)
    assert await artifacts.get(await artifacts.put(b"", "text/plain")) == b""


@pytest.mark.asyncio
async def test_storing_twice_stores_once(bus):
    artifacts = Artifacts(bus)
    first = await artifacts.put(b"x" * 1000, "text/plain")
    before = (await bus.jetstream.stream_info("OBJ_artifacts")).state.last_seq
    assert await artifacts.put(b"x" * 1000, "text/plain") == first
    assert (await bus.jetstream.stream_info("OBJ_artifacts")).state.last_seq == before


@pytest.mark.asyncio
async def test_a_missing_blob_is_named(bus):
    with pytest.raises(ArtifactMissing, match=examples.SHA):
        await Artifacts(bus).get(examples.artifact())


@pytest.mark.asyncio
async def test_content_that_does_not_have_its_name_is_refused(bus):
    store = await bus.jetstream.object_store("artifacts")
    await store.put(examples.SHA, b"something else")
    with pytest.raises(ArtifactCorrupt):
        await Artifacts(bus).get(examples.artifact())


@pytest.mark.asyncio
async def test_the_layout_is_that_of_the_object_store(bus):
    data = bytes(range(256)) * 1000
    ref = await Artifacts(bus).put(data, "application/octet-stream")
    store = await bus.jetstream.object_store("artifacts")
    assert (await store.get(ref.sha256)).data == data


@pytest.mark.asyncio
async def test_a_blob_whose_chunks_are_gone_is_missing_and_does_not_hang(bus):
    artifacts = Artifacts(bus)
    ref = await artifacts.put(b"x" * 200_000, "text/plain")
    await bus.jetstream.purge_stream("OBJ_artifacts", subject="$O.artifacts.C.>")
    with pytest.raises(ArtifactMissing, match="0 of 200000"):
        await artifacts.get(ref)


@pytest.mark.asyncio
async def test_a_copy_past_half_its_retention_is_stored_anew(bus):
    old = await Artifacts(bus).put(b"data", "text/plain")
    before = (await bus.jetstream.stream_info("OBJ_artifacts")).state.last_seq
    later = Artifacts(bus, now=lambda: datetime.now(UTC) + timedelta(days=20))
    assert await later.put(b"data", "text/plain") == old
    assert (await bus.jetstream.stream_info("OBJ_artifacts")).state.last_seq > before
    assert await later.get(old) == b"data"
