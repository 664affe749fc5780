"""Which entries of an archive become which files."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.builder.domain.archives import MAX_ENTRIES, Entry, arrange, shown
from worksite.common.errors import StepRefused

FORBIDDEN = ["", ".", "..", "\\", "C:", "\0", "\u200d", "\udce9"]
PARTS = st.sampled_from([*FORBIDDEN, "a", "A", "b", ".git", ".Git", "git~1", "é", "e\u0301", "__MACOSX"])
ENTRIES = st.builds(
    Entry,
    index=st.just(0),
    path=st.lists(PARTS, max_size=4).map("/".join),
    kind=st.sampled_from(["file", "folder", "link"]),
    target=st.lists(PARTS, max_size=3).map("/".join),
)


def _paths(*paths: str) -> list[str]:
    return [entry.path for entry in arrange([Entry(0, path, "file") for path in paths], 0)]


def test_files_keep_their_order_and_lose_what_says_nothing() -> None:
    assert _paths("b", "./a", "c//d") == ["b", "a", "c/d"]


@pytest.mark.parametrize(
    ("packed", "taken"),
    [
        (["p/a", "p/b/c"], ["a", "b/c"]),
        (["p/q/a"], ["q/a"]),
        (["p/a", "q"], ["p/a", "q"]),
        (["p/a", "q/b"], ["p/a", "q/b"]),
        (["a"], ["a"]),
        (["p/a", "__MACOSX/p/._a"], ["a"]),
    ],
)
def test_one_folder_around_everything_is_left_out_once(packed: list[str], taken: list[str]) -> None:
    assert _paths(*packed) == taken


def test_a_folder_without_files_stands_for_nothing() -> None:
    entries = [
        Entry(0, "p/empty", "folder"),
        Entry(1, "p/a", "file"),
        Entry(2, "p", "folder"),
        Entry(3, "./", "folder"),
    ]

    assert [entry.path for entry in arrange(entries, 0)] == ["a"]


def test_the_size_is_counted_before_anything_is_unpacked() -> None:
    entries = [Entry(0, "a", "file", 60), Entry(1, "b", "file", 40)]

    assert len(arrange(entries, 100)) == 2
    with pytest.raises(StepRefused, match="more than 99 bytes"):
        arrange(entries, 99)


def test_one_entry_too_many_ends_the_reading() -> None:
    read = list[int]()

    def endless() -> Iterator[Entry]:
        while True:
            read.append(len(read))
            yield Entry(read[-1], f"{read[-1]}", "file")

    with pytest.raises(StepRefused, match="more than 100000 entries") as refused:
        arrange(endless(), 0)
    assert refused.value.code == "repository_too_large"
    assert len(read) == MAX_ENTRIES + 1


def test_a_name_is_shown_short_and_without_what_cannot_be_seen() -> None:
    assert shown("a\x1b\u202e" + "b" * 100) == repr("…" + "b" * 40)
    assert shown("a\nb\udce9") == "'a?b?'"


@given(st.lists(ENTRIES, max_size=6))
def test_whatever_an_archive_names_its_files_stay_inside_and_apart(entries: list[Entry]) -> None:
    try:
        files = arrange(entries, 0)
    except StepRefused:
        return
    paths = [entry.path for entry in files]
    assert len({path.casefold() for path in paths}) == len(paths)
    for path in paths:
        parts = path.split("/")
        assert not set(FORBIDDEN) & set(parts)
        assert not {".git", "git~1"} & {part.lower() for part in parts}
        assert not any(other.startswith(f"{path}/") for other in paths)
