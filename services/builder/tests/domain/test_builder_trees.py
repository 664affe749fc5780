"""Reading trees, and which links stay inside one."""

from __future__ import annotations

import pytest
from worksite.builder.domain.trees import TreeEntry, parse_tree, stays_inside

SHA = "a" * 40


def test_a_listing_is_read_and_sorted() -> None:
    listing = f"100755 blob {SHA}      12\tz.sh\x00160000 commit {SHA}       -\tlib/x\x00".encode()

    assert parse_tree(listing) == [TreeEntry("160000", SHA, 0, "lib/x"), TreeEntry("100755", SHA, 12, "z.sh")]


def test_tabs_and_newlines_in_a_name_belong_to_it() -> None:
    (entry,) = parse_tree(f"100644 blob {SHA}       1\ta\tb\nc\x00".encode())

    assert entry.path == "a\tb\nc"


@pytest.mark.parametrize(
    ("link", "target"), [("a", "b"), ("a", "./b/c"), ("x/y/a", "../../b"), ("x/a", "../x/b"), ("a", "b//c/")]
)
def test_a_link_within_the_tree_stays_inside(link: str, target: str) -> None:
    assert stays_inside(link, target)


@pytest.mark.parametrize(
    ("link", "target"),
    [
        ("a", "/etc/passwd"),
        ("a", "../b"),
        ("x/a", "../../b"),
        ("a", "b/../../c"),
        ("a", "x/link/../.."),  # `x/link` may itself be a link to somewhere near the top
        ("a", ".git/config"),
    ],
)
def test_a_link_that_leads_out_or_could_does_not(link: str, target: str) -> None:
    assert not stays_inside(link, target)
