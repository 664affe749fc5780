"""What a row asks for and what it says afterwards."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from worksite.common.errors import MalformedMessage
from worksite.common.ids import SHARED_TENANT
from worksite.common.messages import ArtifactRef, DocumentEntry, DocumentFile, DocumentState, DocumentText, document_id
from worksite.common.messages.knowledge import CONVERTED_SUFFIXES, MAX_DOCUMENT_BYTES, MAX_FILE_BYTES
from worksite.common.messages.search import LANGUAGES
from worksite.rag.domain.documents import Document, Unindexable
from worksite.rag.domain.entries import content_of, document_of, failed, indexed, is_settled, parse_row, row_key
from worksite.rag.domain.formats import _BY_SUFFIX

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
REF = ArtifactRef(sha256="ab" * 32, size=10, media_type="application/json")


def entry(path: str = "notes/a.md", tenant: str = "acme", state: DocumentState = "queued", chunks: int = 0):
    return DocumentEntry(
        tenant=tenant,
        id=document_id(path),
        path=path,
        tags=("x",),
        text=REF,
        state=state,
        chunks=chunks,
        submitted_at=NOW,
    )


def blob(path: str = "notes/a.md", tenant: str = "acme", text: str = "# A") -> bytes:
    return DocumentText(tenant=tenant, path=path, text=text, submitted_at=NOW).to_json()


def file(path: str = "notes/a.md", content: bytes = b"%PDF") -> bytes:
    return DocumentFile.of("acme", path, content, NOW).to_json()


def sent_as_text(path: str) -> Document:
    content = content_of(entry(path), blob(path))
    assert isinstance(content.data, str)
    return document_of(entry(path), content.source, content.data)


def test_document_carries_when_it_was_sent_and_its_language_where_the_name_tells() -> None:
    document, other = (sent_as_text(path) for path in ("a.md", "a.txt"))
    assert (document.updated_at, document.language, other.language) == (NOW, "markdown", None)


def test_row_is_read_under_its_own_key() -> None:
    row = entry()
    assert parse_row(row_key("acme", row.id), row.to_json()) == row


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("acme.x", b"{}"),
        (row_key("other", document_id("notes/a.md")), entry().to_json()),
        (row_key("acme", document_id("notes/b.md")), entry().to_json()),
        (row_key(SHARED_TENANT, document_id("notes/a.md")), entry(tenant=SHARED_TENANT).to_json()),
    ],
    ids=["no row", "of another tenant", "of another path", "of the tenant that folders feed"],
)
def test_row_that_is_not_what_its_key_says_is_refused(key: str, value: bytes) -> None:
    with pytest.raises(MalformedMessage, match=key):
        parse_row(key, value)


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("a.md", ("markdown", "markdown")),
        ("B.MD", ("markdown", "markdown")),
        ("c.markdown", ("markdown", "markdown")),
        ("d.py", ("code", "python")),
        ("e.rst", ("restructuredtext", "restructuredtext")),
        ("f.pdf", ("text", None)),
        ("README", ("text", None)),
    ],
)
def test_format_and_language_are_told_by_the_name(path: str, expected: tuple[str, str | None]) -> None:
    document = sent_as_text(path)
    assert (document.path, document.text, document.tags, document.kind) == (path, "# A", ("x",), "document")
    assert (document.format, document.language) == expected


@pytest.mark.parametrize(
    ("path", "stored", "language"),
    [
        ("a.pdf", file("a.pdf", b"# A"), "pdf"),
        ("a.DOCX", file("a.DOCX", b"# A"), "docx"),
        ("a.htm", file("a.htm", b"# A"), "html"),
        ("a.html", blob("a.html"), "html"),
    ],
)
def test_file_and_text_that_have_to_be_converted_are_told_by_their_names(
    path: str, stored: bytes, language: str
) -> None:
    content = content_of(entry(path), stored)
    assert content.data == b"# A"
    document = document_of(entry(path), content.source, "converted")
    assert (document.format, document.language, document.text) == ("markdown", language, "converted")


def test_clients_and_engine_agree_on_what_has_to_be_converted() -> None:
    assert {suffix for suffix, source in _BY_SUFFIX.items() if source.is_converted} == CONVERTED_SUFFIXES


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (b"\xff", "cannot be read; send the document again"),
        (blob(tenant="other"), "belongs to another document"),
        (blob(path="notes/b.md"), "belongs to another document"),
        (blob(text="é" * (MAX_DOCUMENT_BYTES // 2 + 1)), f"{MAX_DOCUMENT_BYTES + 2} bytes; a document may have"),
        (file("notes/b.md"), "belongs to another document"),
        (file(), "its name says nothing of a format that is converted here"),
    ],
    ids=["damaged", "of another tenant", "of another path", "too long", "file of another path", "no such format"],
)
def test_blob_that_is_not_the_rows_text_is_refused_with_a_reason(stored: bytes, reason: str) -> None:
    with pytest.raises(Unindexable, match=reason):
        content_of(entry(), stored)


def test_file_that_is_too_large_or_damaged_is_refused_with_a_reason() -> None:
    with pytest.raises(Unindexable, match=f"{MAX_FILE_BYTES + 1} bytes; a file to convert may have"):
        content_of(entry("a.pdf"), file("a.pdf", bytes(MAX_FILE_BYTES + 1)))
    with pytest.raises(Unindexable, match="cannot be read; send the document again"):
        content_of(entry("a.pdf"), file("a.pdf").replace(b"JVBERg==", b"JV"))


@pytest.mark.parametrize(
    ("state", "chunks", "stored", "of_its_text", "settled"),
    [
        ("queued", 0, 0, 0, False),
        ("deleting", 3, 0, 0, False),
        ("failed", 0, 0, 0, True),
        ("failed", 0, 2, 0, False),
        ("indexed", 3, 3, 3, True),
        ("indexed", 3, 3, 0, False),
        ("indexed", 3, 3, 2, False),
        ("indexed", 3, 0, 0, False),
        ("indexed", 3, 2, 2, False),
        ("indexed", 0, 0, 0, True),
    ],
)
def test_document_is_settled_when_the_index_has_all_of_it_and_nothing_of_another_text(
    state: DocumentState, chunks: int, stored: int, of_its_text: int, settled: bool
) -> None:
    assert is_settled(entry(state=state, chunks=chunks), stored, of_its_text) is settled


def test_indexed_row_says_how_many_chunks_and_when_and_forgets_an_earlier_error() -> None:
    row = indexed(failed(entry(), "no"), 7, NOW)
    assert (row.state, row.chunks, row.indexed_at, row.error) == ("indexed", 7, NOW, None)


def test_failed_row_says_why_in_no_more_than_it_may_hold() -> None:
    row = failed(indexed(entry(), 7, NOW), "because " * 100)
    assert (row.state, row.chunks, row.indexed_at) == ("failed", 0, None)
    assert row.error is not None
    assert (len(row.error), row.error[-1]) == (500, "…")
    assert DocumentEntry.consume(row.to_json()) == row


def test_the_languages_that_clients_are_told_of_are_those_that_sources_have() -> None:
    assert sorted({source.language for source in _BY_SUFFIX.values() if source.language}) == list(LANGUAGES)
