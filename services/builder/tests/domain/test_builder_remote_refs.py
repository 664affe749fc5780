"""Reading what a remote offers, and what a client means by a name."""

from __future__ import annotations

import pytest
from worksite.builder.domain.remote_refs import RemoteRefs, WantedCommit, WantedRef, choose, parse_refs
from worksite.common.errors import StepRefused

ONE, TWO = "1" * 40, "2" * 40
LISTING = f"""ref: refs/heads/trunk\tHEAD
{ONE}\tHEAD
{ONE}\trefs/heads/trunk
{TWO}\trefs/heads/fix/login
{TWO}\trefs/tags/v1
{ONE}\trefs/tags/v1^{{}}
{TWO}\trefs/pull/3/head
"""


def test_a_listing_gives_refs_and_default_branch() -> None:
    refs = parse_refs(LISTING)

    assert refs.default == "refs/heads/trunk"
    assert refs.names == {"HEAD", "refs/heads/trunk", "refs/heads/fix/login", "refs/tags/v1", "refs/pull/3/head"}


@pytest.mark.parametrize("name", ["refs/heads/a:refs/heads/b", "refs/heads/*", "refs/../../hooks/x", "refs/heads/a b"])
def test_names_that_git_itself_would_refuse_are_not_offered(name: str) -> None:
    assert parse_refs(f"{ONE}\t{name}\n").empty


def test_a_listing_without_lines_is_an_empty_repository() -> None:
    assert parse_refs("").empty


def test_a_head_that_names_no_branch_gives_no_default() -> None:
    assert parse_refs(f"ref: refs/heads/gone\tHEAD\n{ONE}\trefs/heads/main\n").default is None


def test_a_sha256_repository_is_refused() -> None:
    with pytest.raises(StepRefused, match="SHA-256"):
        parse_refs(f"{'a' * 64}\tHEAD\n")


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        (None, WantedRef("refs/heads/trunk")),
        ("trunk", WantedRef("refs/heads/trunk")),
        ("fix/login", WantedRef("refs/heads/fix/login")),
        ("v1", WantedRef("refs/tags/v1")),
        ("tags/v1", WantedRef("refs/tags/v1")),
        ("refs/pull/3/head", WantedRef("refs/pull/3/head")),
        (TWO[:7], WantedCommit(TWO[:7])),
    ],
)
def test_a_name_is_a_branch_then_a_tag_then_any_ref_then_a_commit(
    asked: str | None, wanted: WantedRef | WantedCommit
) -> None:
    assert choose(parse_refs(LISTING), asked) == wanted


@pytest.mark.parametrize("asked", [TWO, "AB" * 20])
def test_a_whole_commit_id_is_never_a_name(asked: str) -> None:
    names = frozenset({f"refs/heads/{asked}", f"refs/tags/{asked}", f"refs/{asked}", asked})

    assert choose(RemoteRefs(names, None, None), asked) == WantedCommit(asked.lower())


@pytest.mark.parametrize("asked", ["gone", TWO[:6], "ABCDEF0", "-x", "HEAD~1", "fix/../trunk"])
def test_anything_else_is_refused_by_name(asked: str) -> None:
    with pytest.raises(StepRefused) as refused:
        choose(parse_refs(LISTING), asked)

    assert refused.value.code == "unknown_ref"
    assert asked in refused.value.detail


def test_a_repository_without_a_default_branch_needs_a_name() -> None:
    with pytest.raises(StepRefused, match="name a branch"):
        choose(RemoteRefs(frozenset({"refs/heads/main"}), None, None), None)


def test_a_detached_head_is_taken_as_it_is() -> None:
    assert choose(parse_refs(f"{ONE}\tHEAD\n"), None) == WantedRef("HEAD")


def test_only_branches_keep_their_name() -> None:
    assert WantedRef("refs/heads/fix/login").local_branch == "fix/login"
    assert WantedRef("refs/tags/v1").local_branch == WantedCommit(ONE).local_branch == "worksite/imported"
