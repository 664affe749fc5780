"""Only what changed is written."""

from __future__ import annotations

from uuid import UUID

from worksite.rag.domain.changes import Changes, changes_of, is_whole
from worksite.rag.domain.chunking import chunk
from worksite.rag.domain.documents import Document, passage_of
from worksite.rag.domain.identity import Revision, chunk_ids, revision


def changes(before: str, after: str) -> Changes:
    old, new = Document("p", before, "markdown"), Document("p", after, "markdown")
    chunks = chunk(old, len)
    passages = [passage_of(old, piece, len(chunks)) for piece in chunks]
    known = {one: revision(passage) for one, passage in zip(_ids(chunks), passages, strict=True)}
    chunks = chunk(new, len)
    return changes_of(new, _ids(chunks), chunks, known)


def _ids(chunks: list[object]) -> list[UUID]:
    return chunk_ids("i", "t", "p", chunks)  # pyright: ignore[reportArgumentType]


def test_nothing_changes_when_the_text_is_the_same() -> None:
    assert changes("# A\n\na\n", "# A\n\na\n") == Changes((), {}, frozenset())


def test_edit_embeds_the_edited_chunk_and_moves_those_below_it() -> None:
    found = changes("# A\n\na\n\n# B\n\nb\n", "# A\n\na\nlonger\n\n# B\n\nb\n")
    assert [text for _, _, text in found.new] == ["A\n# A\n\na\nlonger"]
    assert [passage.start_line for passage in found.moved.values()] == [6]
    assert len(found.gone) == 1


def test_removed_section_is_gone_and_nothing_is_embedded() -> None:
    found = changes("# A\n\na\n\n# B\n\nb\n", "# A\n\na\n")
    assert (found.new, len(found.moved), len(found.gone)) == ((), 1, 1)
    assert [passage.parts for passage in found.moved.values()] == [1]


def test_document_is_whole_when_all_of_its_parts_are_there_and_of_one_source() -> None:
    first, second, other = (Revision("r", source, 2) for source in ("a", "a", "b"))
    one, two, three = (UUID(int=n) for n in (1, 2, 3))
    assert is_whole({one: first, two: second}, "a")
    assert not is_whole({one: first, two: second}, "b")
    assert not is_whole({one: first, two: other}, "a")
    assert not is_whole({one: first}, "a")
    assert not is_whole({one: first, two: second, three: second}, "a")
    assert not is_whole({}, "a")
