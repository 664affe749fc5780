"""/v1/uploads: what is taken, what is refused without reading it all, and that nothing is left behind."""

from __future__ import annotations

import asyncio
import hashlib
import io
import tarfile
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import IO, Any

import httpx
import pytest
from fastapi import FastAPI
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, KeyValue
from worksite.common.errors import BusUnavailable, QueueFull
from worksite.common.health import http_server
from worksite.common.messages import ArtifactRef, AuditRecord, UploadedProject
from worksite.gateway import uploads
from worksite.gateway.domain.uploads import LIFE, Upload
from worksite.gateway.gateway import Gateway
from worksite.gateway.problems import ProblemError
from worksite.gateway.settings import GatewaySettings

BUNDLE = "application/x-git-bundle"
A_BUNDLE = b"# v2 git bundle\n" + b"\x00\xff" * 100_000
FIVE_HUNDRED_MEGABYTES = 500 * 1000 * 1000
ABSENT = "0" * 64


def zipped() -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as archive:
        archive.writestr("README.md", "# x")
    return data.getvalue()


def tarred(mode: str) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode=mode) as archive:  # type: ignore[call-overload]
        archive.addfile(tarfile.TarInfo("README.md"), io.BytesIO())
    return data.getvalue()


async def upload(client: httpx.AsyncClient, content: Any = A_BUNDLE, kind: str = BUNDLE, **headers: str) -> Any:
    return await client.post("/v1/uploads", content=content, headers={"Content-Type": kind} | headers)


def slug(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:worksite:problem:")


async def listed(bus: Bus, tenant: str = "acme") -> list[Upload]:
    return [Upload.model_validate_json(e.value) for e in await KeyValue(bus, subjects.UPLOADS).entries(tenant)]


@pytest.fixture
def under_way(settings: GatewaySettings, gateway: Gateway) -> Callable[[], list[Path]]:
    """The temporary files of uploads."""
    folder = settings.state_dir / "uploads"
    assert folder.is_dir()
    return lambda: list(folder.iterdir())


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "content", "form"),
    [
        (BUNDLE, A_BUNDLE, "bundle"),
        (BUNDLE, b"# v3 git bundle\n@object-format=sha1\n", "bundle"),
        ("application/zip", zipped(), "zip"),
        ("application/x-tar", tarred("w"), "tar"),
        ("application/gzip", tarred("w:gz"), "tar"),
        ("Application/GZIP; x=y", tarred("w:gz"), "tar"),
    ],
    ids=["bundle v2", "bundle v3", "zip", "tar", "tar.gz", "media type in other letters"],
)
async def test_an_archive_is_stored_under_its_hash_and_can_be_looked_up(
    client: httpx.AsyncClient, bus: Bus, under_way: Callable[[], list[Path]], kind: str, content: bytes, form: str
) -> None:
    answer = await upload(client, content, kind)

    assert answer.status_code == 201, answer.text
    view = answer.json()
    digest = hashlib.sha256(content).hexdigest()
    assert (view["id"], view["size"], view["format"]) == (digest, len(content), form)
    assert answer.headers["location"] == f"/v1/uploads/{digest}"
    assert (await client.get(answer.headers["location"])).json() == view
    [record] = await listed(bus)
    ref = ArtifactRef(sha256=digest, size=len(content), media_type=record.media_type)
    assert await Artifacts(bus).get(ref) == content
    assert under_way() == []


@pytest.mark.asyncio
async def test_the_same_archive_again_has_the_same_id_and_lives_longer(client: httpx.AsyncClient, bus: Bus) -> None:
    first = await upload(client)
    second = await upload(client)

    assert (first.status_code, second.status_code) == (201, 200)
    assert second.headers["location"] == first.headers["location"]
    assert second.json()["expires_at"] > first.json()["expires_at"]
    assert (await client.get(first.headers["location"])).json() == second.json()
    [record] = await listed(bus)
    assert record.principal == "ada"
    assert first.json() | {"expires_at": None} == second.json() | {"expires_at": None}


@pytest.mark.asyncio
async def test_the_archive_outlives_its_record_whenever_it_was_stored_first(bus: Bus) -> None:
    """So a task that names an upload at the last moment still finds it: the store lets nothing expire, and the
    collector in admin spares what a record names."""
    config = (await bus.jetstream.stream_info(f"OBJ_{subjects.ARTIFACTS}")).config
    records = (await bus.jetstream.stream_info(f"KV_{subjects.UPLOADS}")).config

    assert config.max_age == subjects.FOR_EVER
    assert records.max_age == LIFE.total_seconds()


@pytest.mark.asyncio
async def test_another_tenants_upload_is_as_unknown_as_none(
    client: httpx.AsyncClient, mint: Callable[..., str], admin: Any
) -> None:
    theirs = (await upload(client)).json()["id"]
    client.headers["Authorization"] = f"Bearer {mint(tenant='beta', sub='eve')}"

    answers = [await client.get(f"/v1/uploads/{name}") for name in (theirs, ABSENT, "x", "A" * 64, "..", ">", "%00")]
    tasks = [
        await client.post("/v1/tasks", json={"request": "x", "project": {"upload": name}}) for name in (theirs, ABSENT)
    ]

    assert {slug(answer) for answer in answers} == {(404, "not-found")}
    assert [slug(answer) for answer in tasks] == [(422, "invalid-request")] * 2
    assert tasks[0].json()["errors"] == tasks[1].json()["errors"]
    assert await admin.submitted("beta") == []


@pytest.mark.asyncio
async def test_a_viewer_may_look_an_upload_up_but_not_make_one(
    client: httpx.AsyncClient, mint: Callable[..., str], bus: Bus
) -> None:
    name = (await upload(client)).json()["id"]
    client.headers["Authorization"] = f"Bearer {mint(roles=['viewer'], sub='eve')}"

    denied = await upload(client)

    assert slug(denied) == (403, "forbidden")
    [stored] = await bus.read("AUDIT", subjects.audit_subject("acme", "denied"), 0)
    record = AuditRecord.consume(stored.data)
    assert (record.principal, record.action, record.resource) == ("eve", "createUpload", "Tenant::acme")
    assert (await client.get(f"/v1/uploads/{name}")).status_code == 200


@pytest.mark.asyncio
@pytest.mark.parametrize("headers", [{}, {"Authorization": "viewer"}])
async def test_who_may_not_upload_is_told_before_a_byte_is_read(
    stranger: httpx.AsyncClient, mint: Callable[..., str], headers: dict[str, str]
) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    token = {name: f"Bearer {mint(roles=['viewer'])}" for name in headers}

    assert (await upload(stranger, never(), **token)).status_code == (403 if headers else 401)


@pytest.mark.asyncio
async def test_a_declared_500_megabytes_are_refused_unread(client: httpx.AsyncClient) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    answer = await upload(client, never(), **{"Content-Length": str(FIVE_HUNDRED_MEGABYTES)})

    assert slug(answer) == (413, "body-too-large")
    assert "1048576" in answer.json()["detail"]


@pytest.mark.asyncio
async def test_500_megabytes_in_chunks_are_refused_as_soon_as_they_are_too_many(
    client: httpx.AsyncClient, bus: Bus, settings: GatewaySettings, under_way: Callable[[], list[Path]]
) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        yield b"# v2 git bundle\n"
        for _ in range(FIVE_HUNDRED_MEGABYTES // 65_536):
            sent += 65_536
            yield b"x" * 65_536

    answer = await upload(client, chunks())

    assert slug(answer) == (413, "body-too-large")
    assert sent <= settings.max_upload_bytes + 65_536
    assert (under_way(), await listed(bus)) == ([], [])


@pytest.mark.asyncio
async def test_junk_is_refused_with_its_first_block(client: httpx.AsyncClient) -> None:
    sent = 0

    async def chunks() -> AsyncIterator[bytes]:
        nonlocal sent
        for _ in range(15):
            sent += 65_536
            yield b"x" * 65_536

    assert slug(await upload(client, chunks())) == (422, "not-that-archive")
    assert sent <= 5 * 65_536


@pytest.mark.asyncio
async def test_the_limit_of_uploads_is_nobody_elses(client: httpx.AsyncClient) -> None:
    large = b" " * (100 * 1024)  # more than MAX_BODY_BYTES, less than MAX_UPLOAD_BYTES
    for path in ("/v1/tasks", "/v1/uploads/", "/v1/uploads/x", "/v1/search", "//v1/uploads"):
        assert slug(await client.post(path, content=large)) == (413, "body-too-large"), path


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("kind", "content", "says"),
    [
        (BUNDLE, b"", "empty"),
        (BUNDLE, b"#", "none of these"),
        (BUNDLE, b"# v9 git bundle\n", "none of these"),
        (BUNDLE, zipped(), "application/zip"),
        ("application/zip", A_BUNDLE, "application/x-git-bundle"),
        ("application/zip", b"MZ" + zipped(), "none of these"),
        ("application/x-tar", tarred("w:gz"), "application/gzip"),
        ("application/gzip", tarred("w"), "application/x-tar"),
        ("application/x-tar", b"\0" * 10_240, "none of these"),
    ],
    ids=["empty", "short", "version", "zip as bundle", "bundle as zip", "prefixed", "gzip as tar", "tar as gzip", "0s"],
)
async def test_what_is_not_what_it_says_is_refused_with_what_to_do(
    client: httpx.AsyncClient, bus: Bus, under_way: Callable[[], list[Path]], kind: str, content: bytes, says: str
) -> None:
    answer = await upload(client, content, kind)

    assert slug(answer) == (422, "not-that-archive")
    assert says in answer.json()["detail"]
    assert (under_way(), await listed(bus)) == ([], [])


@pytest.mark.asyncio
async def test_other_media_types_are_told_which_are_taken(client: httpx.AsyncClient) -> None:
    for kind in ("", "application/json", "application/octet-stream", "multipart/form-data; boundary=x"):
        answer = await upload(client, A_BUNDLE, kind)
        assert slug(answer) == (415, "unsupported-media-type")
        assert all(taken in answer.json()["detail"] for taken in (BUNDLE, "zip", "x-tar", "gzip"))


@pytest.mark.asyncio
@pytest.mark.parametrize("framing", ["Content-Length: 200000", "Transfer-Encoding: chunked"])
async def test_a_client_that_goes_away_leaves_no_file_and_no_record(
    app: FastAPI,
    mint: Callable[..., str],
    bus: Bus,
    under_way: Callable[[], list[Path]],
    wait_until: Callable[..., Any],
    caplog: pytest.LogCaptureFixture,
    framing: str,
) -> None:
    head = f"POST /v1/uploads HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {mint()}\r\nContent-Type: {BUNDLE}\r\n"
    body = A_BUNDLE[:50_000]
    part = body if "Length" in framing else f"{len(body):x}\r\n".encode() + body + b"\r\n"

    async with http_server(app, "127.0.0.1", 0) as port:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"{head}{framing}\r\n\r\n".encode() + part)
        await writer.drain()
        await wait_until(lambda: len(under_way()) == 1)
        writer.close()
        await writer.wait_closed()
        await wait_until(lambda: under_way() == [])

    assert await listed(bus) == []
    assert "failed" not in caplog.text, "it is no fault of the gateway's"


@pytest.mark.asyncio
async def test_an_upload_that_takes_too_long_gives_its_place_back(
    client: httpx.AsyncClient, under_way: Callable[[], list[Path]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploads, "MOST_SECONDS", 0.05)

    async def stuck() -> AsyncIterator[bytes]:
        yield A_BUNDLE[:1000]
        await asyncio.Event().wait()

    answers = [await upload(client, stuck()) for _ in range(5)]  # more than there are places

    assert {slug(answer) for answer in answers} == {(408, "too-slow")}
    assert under_way() == []


@pytest.mark.asyncio
async def test_a_tenant_takes_half_the_places_and_all_tenants_no_more_than_there_are(
    client: httpx.AsyncClient, mint: Callable[..., str], under_way: Callable[[], list[Path]], wait_until: Any
) -> None:
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield A_BUNDLE[:1000]
        await go_on.wait()
        yield A_BUNDLE[1000:]

    def by(tenant: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {mint(tenant=tenant)}"}

    acme = [asyncio.create_task(upload(client, slow(), **by("acme"))) for _ in range(2)]
    await wait_until(lambda: len(under_way()) == 2)
    third = await upload(client, **by("acme"))
    beta = [asyncio.create_task(upload(client, slow(), **by("beta"))) for _ in range(2)]
    await wait_until(lambda: len(under_way()) == 4)
    fifth = await upload(client, **by("gamma"))
    go_on.set()
    done = await asyncio.gather(*acme, *beta)

    assert (slug(third), slug(fifth)) == ((429, "too-many-uploads"), (503, "uploads-busy"))
    assert int(third.headers["retry-after"]) > 0
    assert int(fifth.headers["retry-after"]) > 0
    assert {answer.status_code for answer in done} <= {200, 201}
    assert (await upload(client, **by("gamma"))).status_code == 201


class FailingRecords(uploads.UploadRecords):
    """The bus goes away between the archive and its record."""

    async def put(self, tenant: str, upload: Upload) -> bool:
        raise BusUnavailable("gone")


@pytest.mark.asyncio
async def test_what_failed_between_archive_and_record_goes_on_when_it_is_sent_again(
    client: httpx.AsyncClient, gateway: Gateway, bus: Bus, under_way: Callable[[], list[Path]]
) -> None:
    gateway.uploads.records, working = FailingRecords(bus), gateway.uploads.records
    failed = await upload(client)
    gateway.uploads.records = working

    again = await upload(client)

    assert slug(failed) == (503, "bus-unavailable")
    assert again.status_code == 201
    assert (await client.get(again.headers["location"])).status_code == 200
    assert under_way() == []


@pytest.mark.asyncio
async def test_a_full_store_is_said_to_be_one(
    client: httpx.AsyncClient, gateway: Gateway, bus: Bus, under_way: Callable[[], list[Path]]
) -> None:
    class FullArtifacts(Artifacts):
        async def put_file(self, path: Path, media_type: str) -> ArtifactRef:
            raise QueueFull("no room")

    gateway.uploads._artifacts = FullArtifacts(bus)

    assert slug(await upload(client)) == (507, "storage-full")
    assert (under_way(), await listed(bus)) == ([], [])


@pytest.mark.asyncio
async def test_a_tenant_cannot_fill_the_store_but_may_renew_what_it_has(
    client: httpx.AsyncClient, gateway: Gateway, mint: Callable[..., str], bus: Bus, under_way: Callable[[], list[Path]]
) -> None:
    gateway.uploads._max_bytes_per_tenant = len(A_BUNDLE) + 10

    first = await upload(client)
    too_much = await upload(client, A_BUNDLE + b"x")
    renewed = await upload(client)
    small = await upload(client, b"# v2 git bundle\n", Authorization=f"Bearer {mint(tenant='beta')}")

    assert (first.status_code, renewed.status_code, small.status_code) == (201, 200, 201)
    assert slug(too_much) == (507, "uploads-full")
    assert (under_way(), len(await listed(bus))) == ([], 1)
    assert (await bus.jetstream.stream_info("OBJ_artifacts")).state.bytes < 2 * len(A_BUNDLE), "it was stored first"


@pytest.fixture
def full_disk() -> Iterator[IO[bytes]]:
    with Path("/dev/full").open("wb", buffering=0) as file:
        yield file


@pytest.mark.asyncio
async def test_a_full_disk_is_said_to_be_one(full_disk: IO[bytes]) -> None:
    async def body() -> AsyncIterator[bytes]:
        yield A_BUNDLE

    with pytest.raises(ProblemError) as refused:
        await uploads._received(body(), full_disk, BUNDLE)

    assert (refused.value.status, refused.value.slug) == (507, "storage-full")


def test_what_a_killed_gateway_left_is_gone_when_the_next_one_starts(tmp_path: Path) -> None:
    folder = tmp_path / "state" / "uploads"
    uploads.emptied(folder)
    (folder / "tmp1").write_bytes(b"half an upload")

    assert list(uploads.emptied(folder).iterdir()) == []
    assert folder.stat().st_mode & 0o777 == 0o700


@pytest.mark.asyncio
async def test_a_task_works_on_an_upload(client: httpx.AsyncClient, admin: Any) -> None:
    name = (await upload(client)).json()["id"]
    archive = ArtifactRef(sha256=name, size=len(A_BUNDLE), media_type=BUNDLE)

    for project in ({"upload": name}, {"upload": name, "ref": "main", "name": "shop"}):
        answer = await client.post("/v1/tasks", json={"request": "x", "project": project})
        assert answer.status_code == 202, answer.text

    assert [command.project for command, _ in await admin.submitted()] == [
        UploadedProject(archive=archive, format="bundle"),
        UploadedProject(archive=archive, format="bundle", ref="main", name="shop"),
    ]


@pytest.mark.asyncio
async def test_a_task_that_cannot_work_on_its_upload_is_refused_with_what_to_do(
    client: httpx.AsyncClient, admin: Any
) -> None:
    name = (await upload(client, zipped(), "application/zip")).json()["id"]
    cases = [
        ({"upload": ABSENT}, "project.upload", "POST it to /v1/uploads"),
        ({"upload": name, "ref": "main"}, "project.ref", "git bundle"),
        ({"git_url": "https://git.example/x", "name": "x"}, "project", "one of"),
        ({"upload": name, "git_url": "https://git.example/x"}, "project", "one of"),
        ({"upload": "../x"}, "project.upload", "pattern"),
    ]
    for project, field, says in cases:
        headers = {"Idempotency-Key": "k"}
        answer = await client.post("/v1/tasks", json={"request": "x", "project": project}, headers=headers)
        assert slug(answer) == (422, "invalid-request")
        [error] = answer.json()["errors"]
        assert error["field"] == field
        assert says in error["message"]
    assert await admin.submitted() == []

    body = {"request": "x", "project": {"upload": name}}
    accepted = await client.post("/v1/tasks", json=body, headers={"Idempotency-Key": "k"})
    assert accepted.status_code == 202, "a refusal has used the key up"


@pytest.mark.asyncio
async def test_a_submission_repeated_after_its_upload_expired_is_the_same_task(
    client: httpx.AsyncClient, admin: Any, bus: Bus
) -> None:
    name = (await upload(client)).json()["id"]
    body, key = {"request": "x", "project": {"upload": name}}, {"Idempotency-Key": "k"}
    first = await client.post("/v1/tasks", json=body, headers=key)
    await KeyValue(bus, subjects.UPLOADS).delete(f"acme.{name}")

    again = await client.post("/v1/tasks", json=body, headers=key)
    other_body = await client.post("/v1/tasks", json=body | {"request": "y"}, headers=key)

    assert (again.status_code, again.json()["id"]) == (202, first.json()["id"])
    assert slug(other_body) == (422, "invalid-request")
    assert len(await admin.submitted()) == 1
