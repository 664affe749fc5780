"""What a row asks for and what it says afterwards."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from worksite.common.errors import MalformedMessage
from worksite.common.messages import SHARED_TENANT, ArtifactRef, DocumentEntry, DocumentState, DocumentText, document_id
from worksite.common.messages.knowledge import MAX_DOCUMENT_BYTES
from worksite.rag.domain.documents import Unindexable
from worksite.rag.domain.entries import document_of, failed, indexed, is_settled, parse_row, row_key

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


def test_document_carries_when_it_was_sent_and_its_language_where_the_name_tells() -> None:
    document, other = (document_of(entry(path), blob(path)) for path in ("a.md", "a.txt"))
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
    document = document_of(entry(path), blob(path))
    assert (document.path, document.text, document.tags, document.kind) == (path, "# A", ("x",), "document")
    assert (document.format, document.language) == expected


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        (b"\xff", "cannot be read; send the document again"),
        (blob(tenant="other"), "belongs to another document"),
        (blob(path="notes/b.md"), "belongs to another document"),
        (blob(text="é" * (MAX_DOCUMENT_BYTES // 2 + 1)), f"{MAX_DOCUMENT_BYTES + 2} bytes; a document may have"),
    ],
    ids=["damaged", "of another tenant", "of another path", "too long"],
)
def test_blob_that_is_not_the_rows_text_is_refused_with_a_reason(stored: bytes, reason: str) -> None:
    with pytest.raises(Unindexable, match=reason):
        document_of(entry(), stored)


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
