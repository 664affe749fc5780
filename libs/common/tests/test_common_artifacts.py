"""Blobs named by their hash."""

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
