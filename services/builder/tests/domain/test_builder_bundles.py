"""Reading what a bundle offers, and what git said about it."""

from __future__ import annotations

import pytest
from worksite.builder.domain.bundles import broken_bundle, parse_bundle
from worksite.common.errors import StepRefused

ONE, TWO = "1" * 40, "2" * 40


def _bundle(*lines: str, signature: str = "# v2 git bundle") -> bytes:
    return "\n".join((signature, *lines, "", "PACK\n\n")).encode()


def test_refs_and_the_place_of_the_pack_are_read() -> None:
    data = _bundle(f"{ONE} refs/heads/main", f"{TWO} refs/tags/v1", f"{ONE} HEAD")

    bundle = parse_bundle(data)

    assert bundle.ids == {"refs/heads/main": ONE, "refs/tags/v1": TWO, "HEAD": ONE}
    assert data[bundle.pack_offset :] == b"PACK\n\n"


def test_the_newer_format_is_read_too() -> None:
    data = _bundle("@object-format=sha1", f"{ONE} refs/heads/main", signature="# v3 git bundle")

    assert parse_bundle(data).refs.names == {"refs/heads/main"}


@pytest.mark.parametrize(
    ("offered", "default", "trunk"),
    [
        ({"HEAD": ONE, "refs/heads/x": ONE}, "refs/heads/x", "refs/heads/x"),
        ({"HEAD": TWO, "refs/heads/main": ONE, "refs/heads/x": TWO}, "refs/heads/x", "refs/heads/main"),
        ({"HEAD": ONE, "refs/heads/a": ONE, "refs/heads/master": ONE}, "refs/heads/master", "refs/heads/master"),
        ({"HEAD": TWO, "refs/heads/x": ONE}, "HEAD", "HEAD"),
        ({"refs/heads/x": ONE}, "refs/heads/x", "refs/heads/x"),
        ({"refs/heads/x": ONE, "refs/heads/y": ONE}, None, None),
        ({"refs/tags/v1": ONE}, None, None),
        (
            {"HEAD": TWO, "refs/heads/x": TWO, "refs/remotes/origin/HEAD": ONE},
            "refs/heads/x",
            "refs/remotes/origin/HEAD",
        ),
    ],
)
def test_no_ref_means_heads_branch_and_a_review_compares_with_the_main_one(
    offered: dict[str, str], default: str | None, trunk: str | None
) -> None:
    refs = parse_bundle(_bundle(*(f"{commit} {name}" for name, commit in offered.items()))).refs

    assert (refs.default, refs.trunk) == (default, trunk)


@pytest.mark.parametrize(
    "name",
    ["refs/heads/a:b", "refs/../x", "refs/heads/a.lock", "refs//x", ".x", "refs/heads/x/", "refs/heads/@{1}", "a b"],
)
def test_names_that_git_would_refuse_are_not_offered(name: str) -> None:
    bundle = parse_bundle(_bundle(f"{ONE} {name}", f"{ONE} refs/heads/main"))

    assert bundle.refs.names == {"refs/heads/main"}


@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "upload_unreadable"),
        (b"PK\x03\x04", "upload_unreadable"),
        (b"# v2 git bundle\n" + ONE.encode(), "upload_unreadable"),
        (_bundle(), "upload_unreadable"),
        (_bundle(f"{ONE} refs/heads/a b"), "upload_unreadable"),
        (_bundle("@new=thing", f"{ONE} HEAD"), "upload_unreadable"),
        (_bundle(f"-{TWO} older", f"{ONE} HEAD"), "incomplete_history"),
        (_bundle("@filter=blob:none", f"{ONE} HEAD"), "incomplete_history"),
        (_bundle("@object-format=sha256", f"{ONE * 2} HEAD"), "unsupported_repository"),
    ],
)
def test_what_is_not_the_bundle_of_a_whole_repository_is_refused(data: bytes, code: str) -> None:
    with pytest.raises(StepRefused) as refused:
        parse_bundle(data)

    assert refused.value.code == code


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ("fatal: did not receive expected object 1234", "incomplete_history"),
        ("fatal: pack has 1 unresolved delta", "incomplete_history"),
        ("fatal: fsck error in packed object", "unsafe_repository"),
        ("error: object 12: hasDotgit\nfatal: Error in object", "unsafe_repository"),
        ("fatal: pack is corrupted (SHA1 mismatch)", "upload_unreadable"),
    ],
)
def test_what_git_says_about_a_pack_becomes_our_words(said: str, code: str) -> None:
    assert broken_bundle(said.lower()).code == code
