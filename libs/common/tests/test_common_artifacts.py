"""Blobs named by their hash."""

from datetime import UTC, datetime, timedelta

import pytest
from worksite.common import subjects
from worksite.common.artifacts import MAX_ARTIFACT_BYTES, Artifacts
from worksite.common.errors import ArtifactCorrupt, ArtifactMissing, PayloadTooLarge, QueueFull
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


@pytest.mark.asyncio
async def test_a_file_is_the_same_artifact_as_its_bytes(bus, tmp_path):
    data = bytes(range(256)) * 2000
    (tmp_path / "file").write_bytes(data)
    artifacts = Artifacts(bus)
    ref = await artifacts.put_file(tmp_path / "file", "application/zip")
    assert ref == await artifacts.put(data, "application/zip")
    assert await artifacts.get(ref) == data


@pytest.mark.asyncio
async def test_a_file_that_is_too_large_is_refused(bus, tmp_path):
    with (tmp_path / "file").open("wb") as file:
        file.truncate(MAX_ARTIFACT_BYTES + 1)
    with pytest.raises(PayloadTooLarge, match="at most"):
        await Artifacts(bus).put_file(tmp_path / "file", "application/zip")


@pytest.mark.asyncio
async def test_a_removed_blob_leaves_nothing_and_can_come_back(bus):
    knowledge = Artifacts(bus, store=subjects.KNOWLEDGE)
    ref, other = [await knowledge.put(text, "text/plain") for text in (b"private" * 20_000, b"other")]
    await knowledge.remove(ref)
    await knowledge.remove(ref)
    with pytest.raises(ArtifactMissing):
        await knowledge.get(ref)
    assert await knowledge.get(other) == b"other"
    assert (await bus.jetstream.stream_info("OBJ_knowledge")).state.messages == 2  # the other's chunk and metadata
    assert await knowledge.get(await knowledge.put(b"private" * 20_000, "text/plain")) == b"private" * 20_000


@pytest.mark.asyncio
async def test_a_removal_that_was_cut_off_can_be_repeated(bus):
    knowledge = Artifacts(bus, store=subjects.KNOWLEDGE)
    ref = await knowledge.put(b"private", "text/plain")
    await bus.purge("OBJ_knowledge", "$O.knowledge.C.>")
    await knowledge.remove(ref)
    assert (await bus.jetstream.stream_info("OBJ_knowledge")).state.messages == 0


@pytest.mark.asyncio
async def test_blobs_that_nobody_keeps_are_removed_once_they_are_old_enough(bus):
    knowledge = Artifacts(bus, store=subjects.KNOWLEDGE)
    kept, old = [await knowledge.put(text, "text/plain") for text in (b"kept", b"old")]
    now = datetime.now(UTC)
    assert await knowledge.remove_all_but({kept.sha256}, now - timedelta(minutes=1)) == 0
    assert await knowledge.remove_all_but({kept.sha256}, now + timedelta(minutes=1)) == 1
    assert await knowledge.get(kept) == b"kept"
    with pytest.raises(ArtifactMissing):
        await knowledge.get(old)


@pytest.mark.asyncio
async def test_what_is_left_of_a_blob_that_was_cut_off_is_removed_once_it_is_old_enough(bus, monkeypatch):
    knowledge, published = Artifacts(bus, store=subjects.KNOWLEDGE), bus.publish_raw

    async def cut_off(subject, data, headers):
        if ".M." in subject:
            raise QueueFull(subject)
        return await published(subject, data, headers)

    whole = await knowledge.put(b"whole" * 20_000, "text/plain")
    monkeypatch.setattr(bus, "publish_raw", cut_off)
    with pytest.raises(QueueFull):
        await knowledge.put(b"cut off" * 20_000, "text/plain")
    await published("$O.knowledge.C.somebodyelses", b"", {})
    now = datetime.now(UTC)

    async def left():
        return (await bus.jetstream.stream_info("OBJ_knowledge")).state.messages

    before = await left()
    assert await knowledge.remove_all_but({whole.sha256}, now - timedelta(minutes=1)) == 0
    assert await left() == before
    assert await knowledge.remove_all_but({whole.sha256}, now + timedelta(minutes=1)) == 0
    assert await left() == before - 3  # 140,000 bytes are three pieces
    assert await knowledge.get(whole) == b"whole" * 20_000
