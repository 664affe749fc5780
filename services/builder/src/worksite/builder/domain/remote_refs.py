"""What a remote offers, and which of it a client means."""

from __future__ import annotations

import re
from dataclasses import dataclass

from worksite.common.errors import StepRefused

_COMMIT_ID = re.compile(r"[0-9a-fA-F]{40}")
_SHORT_COMMIT_ID = re.compile(r"[0-9a-f]{7,39}")
REF_NAME = re.compile(r"(?!.*(\.\.|//|/\.|@\{|\.lock(/|$)|[/.]$)|[/.])[^\x00-\x20\x7f~^:?*\[\\]+")
"""As git-check-ref-format(1) has it; a remote could announce anything."""
HEADS, _TAGS = "refs/heads/", "refs/tags/"
_SHOWN_NAMES, _SHOWN_CHARACTERS = 5, 40
_IMPORTED = "worksite/imported"


@dataclass(frozen=True)
class RemoteRefs:
    """The refs of a repository by their full names: `default` is what is meant when nothing is named, `trunk` what a
    review compares with."""

    names: frozenset[str]
    default: str | None
    trunk: str | None

    @property
    def empty(self) -> bool:
        return not self.names


@dataclass(frozen=True)
class WantedRef:
    """A ref by its full name."""

    name: str

    @property
    def local_branch(self) -> str:
        """The branch of the bundle: the client's own where it named one."""
        return self.name.removeprefix(HEADS) if self.name.startswith(HEADS) else _IMPORTED


@dataclass(frozen=True)
class WantedCommit:
    """A commit by its id, maybe shortened; it may be reachable from any branch or tag."""

    name: str

    @property
    def local_branch(self) -> str:
        return _IMPORTED


Wanted = WantedRef | WantedCommit


def parse_refs(listing: str) -> RemoteRefs:
    """Read `git ls-remote --symref`. Raises StepRefused for a repository in the SHA-256 object format."""
    names: set[str] = set()
    default = None
    for line in listing.splitlines():
        left, _, name = line.partition("\t")
        if left.startswith("ref: ") and name == "HEAD":
            default = left.removeprefix("ref: ")
        elif len(left) == 64:
            raise StepRefused("unsupported_repository", "SHA-256 repositories are not supported, only SHA-1")
        elif REF_NAME.fullmatch(name):  # leaves out the second line of an annotated tag, which ends with ^{}
            names.add(name)
    if default not in names:
        default = "HEAD" if "HEAD" in names else None
    return RemoteRefs(frozenset(names), default, default)


def choose(refs: RemoteRefs, asked: str | None) -> Wanted:
    """The ref that a client means: branch before tag, as `git clone --branch` has it, then any ref, then a short id.

    A whole commit id is never a name: whoever may push a branch could otherwise replace a pinned commit.
    Raises StepRefused naming what is not there.
    """
    if asked is None:
        return _default(refs)
    if _COMMIT_ID.fullmatch(asked):
        return WantedCommit(asked.lower())
    for name in (HEADS + asked, _TAGS + asked, "refs/remotes/" + asked, "refs/" + asked, asked):
        if name in refs.names:
            return WantedRef(name)
    if _SHORT_COMMIT_ID.fullmatch(asked):
        return WantedCommit(asked)
    raise StepRefused("unknown_ref", f"the repository has no branch or tag {asked!r}{examples(refs)}")


def _default(refs: RemoteRefs) -> Wanted:
    if refs.default:
        return WantedRef(refs.default)
    raise StepRefused(
        "unknown_ref", f"the repository has no default branch: name a branch, tag or commit as `ref`{examples(refs)}"
    )


def examples(refs: RemoteRefs) -> str:
    """A few names to choose from, branches first; they are the repository's, so they are kept short."""
    named = [
        f"{name.removeprefix(kind)[:_SHOWN_CHARACTERS]!r}"
        for kind in (HEADS, _TAGS)
        for name in sorted(refs.names)
        if name.startswith(kind)
    ]
    more = ", …" if len(named) > _SHOWN_NAMES else ""
    return f"; it has {', '.join(named[:_SHOWN_NAMES])}{more}" if named else ""
