"""Blobs named by their hash."""

import base64
import hashlib
import json
from datetime import UTC, datetime, timedelta

import pytest
from worksite.common import subjects
from worksite.common.artifacts import MAX_ARTIFACT_BYTES, Artifacts, Removed
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
async def test_putting_what_is_there_renews_it_without_storing_it_again(bus):
    data, artifacts = b"data" * 50_000, Artifacts(bus)
    ref = await artifacts.put(data, "text/plain")
    before = (await bus.jetstream.stream_info("OBJ_artifacts")).state
    assert await artifacts.put(data, "text/plain") == ref
    after = (await bus.jetstream.stream_info("OBJ_artifacts")).state
    assert (after.last_seq, after.messages) == (before.last_seq + 1, before.messages)
    assert await artifacts.get(ref) == data


class Interrupted(Artifacts):
    """Somebody else's `act` comes once between the look and the removal."""

    def __init__(self, bus, act):
        super().__init__(bus)
        self._acts = [act]

    async def _removed(self, stored):
        while self._acts:
            await self._acts.pop()()
        return await super()._removed(stored)


@pytest.mark.asyncio
async def test_a_blob_that_is_renewed_while_it_is_about_to_be_removed_stays(bus):
    data = b"data" * 50_000
    ref = await Artifacts(bus).put(data, "text/plain")
    renewer = Artifacts(bus)
    collector = Interrupted(bus, lambda: renewer.put(data, "text/plain"))
    assert await collector.remove_all_but((), datetime.now(UTC)) == Removed()
    assert await collector.get(ref) == data


@pytest.mark.asyncio
async def test_a_blob_that_is_removed_between_the_look_and_the_renewal_is_stored_anew(bus, monkeypatch):
    data, now, publish, removed = b"data" * 50_000, datetime.now(UTC), bus.publish_raw, []
    ref = await Artifacts(bus).put(data, "text/plain")

    async def removed_first(subject, body, headers):
        monkeypatch.setattr(bus, "publish_raw", publish)
        removed.append(await Artifacts(bus).remove_all_but((), now + timedelta(minutes=1)))
        return await publish(subject, body, headers)

    monkeypatch.setattr(bus, "publish_raw", removed_first)
    renewer = Artifacts(bus)
    assert await renewer.put(data, "text/plain") == ref
    assert removed == [Removed(blobs=1, bytes=200_000)]
    assert await renewer.get(ref) == data


@pytest.mark.asyncio
async def test_of_two_collectors_at_once_one_counts_a_blob(bus):
    await Artifacts(bus).put(b"data", "text/plain")
    now = datetime.now(UTC)
    second = Artifacts(bus)
    counted = []

    async def by_the_other():
        counted.append(await second.remove_all_but((), now + timedelta(minutes=1)))

    assert await Interrupted(bus, by_the_other).remove_all_but((), now + timedelta(minutes=1)) == Removed()
    assert counted == [Removed(blobs=1, bytes=4)]


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
    assert await knowledge.remove_all_but({kept.sha256}, now - timedelta(minutes=1)) == Removed()
    assert await knowledge.remove_all_but({kept.sha256}, now + timedelta(minutes=1)) == Removed(blobs=1, bytes=3)
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
    assert await knowledge.remove_all_but({whole.sha256}, now - timedelta(minutes=1)) == Removed()
    assert await left() == before
    assert await knowledge.remove_all_but({whole.sha256}, now + timedelta(minutes=1)) == Removed()
    assert await left() == before - 4  # 140,000 bytes are three pieces, and somebody else's
    assert await knowledge.get(whole) == b"whole" * 20_000


def metadata(subject_of, **said):
    """As somebody who may write to the store would put it there."""
    subject = f"$O.artifacts.M.{base64.urlsafe_b64encode(subject_of.encode()).decode()}"
    info = {"name": subject_of, "bucket": "artifacts", "nuid": "a", "size": 1, "chunks": 1, "digest": "", "mtime": ""}
    return subject, json.dumps(info | said).encode(), {"Nats-Rollup": "sub"}


UNREADABLE = (b"{", metadata("x")[1], metadata(examples.SHA, size=-1)[1])


@pytest.mark.asyncio
@pytest.mark.parametrize("found", range(len(UNREADABLE)))
async def test_a_blob_under_whose_name_nothing_useful_stands_is_stored(bus, found):
    data = b"data"
    name = hashlib.sha256(data).hexdigest()
    await bus.publish_raw(metadata(name)[0], UNREADABLE[found], {})
    ref = await Artifacts(bus).put(data, "text/plain")
    assert await Artifacts(bus).get(ref) == data


@pytest.mark.asyncio
async def test_a_blob_that_an_operator_removed_can_come_back(bus):
    ref = await Artifacts(bus).put(b"data", "text/plain")
    await (await bus.jetstream.object_store("artifacts")).delete(ref.sha256)
    assert await Artifacts(bus).put(b"data", "text/plain") == ref
    assert await Artifacts(bus).get(ref) == b"data"


@pytest.mark.asyncio
@pytest.mark.parametrize("found", range(len(UNREADABLE)))
async def test_metadata_that_cannot_be_read_stops_no_collector_and_goes(bus, found):
    ref = await Artifacts(bus).put(b"data", "text/plain")
    await bus.publish_raw(metadata(examples.SHA)[0], UNREADABLE[found], {})
    later = datetime.now(UTC) + timedelta(minutes=1)
    assert await Artifacts(bus).remove_all_but({ref.sha256}, later) == Removed()
    assert await Artifacts(bus).get(ref) == b"data"
    assert (await bus.jetstream.stream_info("OBJ_artifacts")).state.messages == 2


@pytest.mark.asyncio
@pytest.mark.parametrize("claims", [">", "*", "the other's"])
async def test_a_collector_is_not_led_to_remove_what_other_metadata_claims(bus, claims):
    ref = await Artifacts(bus).put(b"data", "text/plain")
    [piece] = await bus.subjects("OBJ_artifacts", "$O.artifacts.C.*")
    nuid = piece.rpartition(".")[2] if claims == "the other's" else claims
    await bus.publish_raw(*metadata(examples.SHA, nuid=nuid))
    await Artifacts(bus).remove_all_but({ref.sha256}, datetime.now(UTC) + timedelta(minutes=1))
    assert await Artifacts(bus).get(ref) == b"data"


@pytest.mark.asyncio
async def test_pieces_stay_although_a_lagging_replica_did_not_show_their_metadata(bus, monkeypatch):
    ref = await Artifacts(bus).put(b"data", "text/plain")

    async def nothing(*_):
        return []

    with monkeypatch.context() as lagging:
        lagging.setattr(bus, "read", nothing)
        await Artifacts(bus).remove_all_but({ref.sha256}, datetime.now(UTC) + timedelta(minutes=1))
    assert await Artifacts(bus).get(ref) == b"data"
