"""/v1/knowledge/documents as multipart/form-data: each file by itself."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, KeyValue
from worksite.common.messages import DocumentEntry, DocumentFile, IndexDocuments, document_id

PATH = "/v1/knowledge/documents"


async def sent(client: httpx.AsyncClient, *files: tuple[str, bytes], **fields: Any) -> httpx.Response:
    return await client.post(PATH, files=[("files", file) for file in files], data=fields)


async def told(bus: Bus) -> list[tuple[str, ...]]:
    found = await bus.read("WORK", subjects.work_subject("rag", "acme"), 0)
    return [IndexDocuments.consume(message.data).documents for message in found]


@pytest.mark.asyncio
async def test_files_become_documents_named_by_folder_and_file(client: httpx.AsyncClient, bus: Bus) -> None:
    answer = await sent(
        client, ("login.md", "# Lögin".encode()), ("deep/a.py", b"x = 1\n"), folder="notes/", tags=["auth", "v2"]
    )

    assert answer.status_code == 202, answer.text
    views = answer.json()["documents"]
    assert [(view["path"], view["tags"], view["state"]) for view in views] == [
        ("notes/login.md", ["auth", "v2"], "queued"),
        ("notes/deep/a.py", ["auth", "v2"], "queued"),
    ]
    assert answer.json()["refused"] == []
    assert await told(bus) == [(document_id("notes/login.md"), document_id("notes/deep/a.py"))]


@pytest.mark.asyncio
async def test_a_form_and_json_of_the_same_text_are_the_same_document(client: httpx.AsyncClient) -> None:
    by_form = (await sent(client, ("a.md", b"# A"))).json()["documents"]
    by_json = (await client.post(PATH, json={"documents": [{"path": "a.md", "text": "# A"}]})).json()["documents"]

    assert by_form == by_json


@pytest.mark.asyncio
async def test_a_file_to_convert_is_stored_as_it_is_and_once(client: httpx.AsyncClient, bus: Bus) -> None:
    content = b"%PDF-1.7\0\xff broken"
    first = await sent(client, ("Paper.PDF", content), ("page.html", b"\xe4"), ("empty.docx", b""), tags=["x"])
    again = await sent(client, ("Paper.PDF", content), tags=["x"])

    assert [view["path"] for view in first.json()["documents"]] == ["Paper.PDF", "page.html"]
    assert first.json()["refused"] == [{"path": "empty.docx", "message": "empty"}]
    assert again.json()["documents"] == first.json()["documents"][:1]
    row = await KeyValue(bus, subjects.DOCUMENTS).get(f"acme.{document_id('Paper.PDF')}")
    assert row
    stored = DocumentFile.consume(
        await Artifacts(bus, store=subjects.KNOWLEDGE).get(DocumentEntry.consume(row.value).text)
    )
    assert (stored.tenant, stored.path, stored.content) == ("acme", "Paper.PDF", content)


@pytest.mark.asyncio
async def test_a_file_that_does_not_fit_is_told_and_stops_no_other(client: httpx.AsyncClient) -> None:
    answer = await sent(
        client,
        ("good.md", b"# Good"),
        ("picture.png", b"\x89PNG\0"),
        ("latin.txt", "ä".encode("latin-1")),
        ("blank.md", b" \n"),
        ("../up.md", b"x"),
        ("good.md", b"# Again"),
        (f"{'n' * 401}.md", b"x"),
    )

    assert answer.status_code == 202
    assert [view["path"] for view in answer.json()["documents"]] == ["good.md"]
    reasons = {one["path"][:12]: one["message"] for one in answer.json()["refused"]}
    assert reasons["picture.png"] == "binary: only text, HTML, PDF and DOCX can be sent, and their names have to say so"
    assert reasons["latin.txt"].startswith("not UTF-8 text: ")
    assert reasons["blank.md"] == "empty"
    assert reasons["../up.md"].startswith("not a relative path")
    assert reasons["good.md"] == "another file of this form has the same path"
    assert reasons["n" * 12] == "String should have at most 400 characters"


@pytest.mark.asyncio
async def test_a_text_may_have_two_mebibytes_a_file_to_convert_fifteen_and_no_more() -> None:
    from worksite.gateway.domain.forms import FormFile, documents_of

    files = (FormFile("full.md", b"x" * (2 << 20)), FormFile("more.md", b"x" * ((2 << 20) + 1)))
    large = (FormFile("full.pdf", bytes(15 << 20)), FormFile("more.pdf", bytes((15 << 20) + 1)))
    taken, refused = documents_of((*files, *large), "", ())

    assert [document.path for document in taken] == ["full.md", "full.pdf"]
    assert "split it, or leave it out" in refused[0].message
    assert refused[1].message == "more.pdf: 15728641 bytes; a file to convert may have 15728640"


@pytest.mark.asyncio
async def test_a_form_of_nothing_that_fits_is_refused_with_every_reason(client: httpx.AsyncClient, bus: Bus) -> None:
    answer = await sent(client, ("a.bin", b"\0"), ("b.md", b""))

    assert answer.status_code == 422
    assert {error["field"]: error["message"] for error in answer.json()["errors"]} == {
        "a.bin": "binary: only text, HTML, PDF and DOCX can be sent, and their names have to say so",
        "b.md": "empty",
    }
    assert await told(bus) == []


@pytest.mark.asyncio
async def test_bad_forms_are_refused(client: httpx.AsyncClient) -> None:
    multipart = {"Content-Type": "multipart/form-data; boundary=b"}
    file = ("files", ("a.md", b"# A"))
    answers = [
        await client.post(PATH, content=b"no form", headers=multipart),
        await client.post(PATH, content=b"--b\r\n", headers={"Content-Type": "multipart/form-data"}),
        await client.post(PATH, files=[("files", (f"{n}.md", b"x")) for n in range(501)]),
        await client.post(PATH, files=[file], data={"tags": "a" * 2000}),
        await client.post(PATH, files=[file], data={"tags": "not a tag"}),
        await client.post(PATH, files=[file], data={"owner": "eve"}),
        await client.post(PATH, files=[("attachment", ("a.md", b"# A"))]),
        await client.post(PATH, files=[file], data={"folder": ["a", "b"]}),
        await client.post(PATH, files=[("files", ("large.md", b"x" * 300_000))]),
        await client.post(PATH, content=b"x", headers={"Content-Type": "text/plain"}),
    ]

    assert [answer.status_code for answer in answers] == [400, 400, 400, 400, 422, 422, 422, 422, 413, 415]
    assert answers[0].json()["type"] == "urn:worksite:problem:malformed-form"
    assert answers[5].json()["errors"][0]["field"] == "owner"
