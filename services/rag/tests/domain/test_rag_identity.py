"""Chunk ids follow content, never position."""

from __future__ import annotations

from dataclasses import fields, replace

import pytest
from worksite.rag.domain.chunking import chunk
from worksite.rag.domain.documents import Document, passage_of
from worksite.rag.domain.identity import Fingerprint, chunk_ids, revision

TEXT = "# A\n\nfirst\n\n# B\n\nsecond\n"


def ids(text: str, *, index: str = "i", tenant: str = "t", path: str = "p") -> list[object]:
    chunks = chunk(Document(path, text, "markdown"), lambda part: len(part.split()))
    return [*chunk_ids(index, tenant, path, chunks)]


def test_edit_above_leaves_the_ids_below_alone() -> None:
    assert ids(TEXT)[1] == ids("# A\n\nrewritten at length\n\nand longer\n\n# B\n\nsecond\n")[1]


def test_changed_heading_changes_the_id_because_it_is_embedded() -> None:
    assert ids(TEXT)[1] != ids(TEXT.replace("# B", "# C"))[1]


def test_equal_chunks_of_one_file_have_ids_of_their_own() -> None:
    assert len(set(ids("# A\n\nsame\n\n# A\n\nsame\n"))) == 2


@pytest.mark.parametrize("other", [{"index": "j"}, {"tenant": "u"}, {"path": "q"}])
def test_id_differs_between_indexes_tenants_and_paths(other: dict[str, str]) -> None:
    assert not set(ids(TEXT)) & set(ids(TEXT, **other))


@pytest.mark.parametrize("part", [field.name for field in fields(Fingerprint)])
def test_fingerprint_changes_with_each_of_its_parts(part: str) -> None:
    fingerprint = Fingerprint("m", "t", "c", "s")
    assert replace(fingerprint, **{part: "other"}).digest() != fingerprint.digest()


def test_revision_changes_when_a_chunk_moves() -> None:
    document = Document("p", TEXT, "markdown")
    passage = passage_of(document, chunk(document, len)[0], 2)
    assert revision(replace(passage, start_line=9)) != revision(passage)
    assert revision(replace(passage)) == revision(passage)
