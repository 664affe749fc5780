"""What a remote offers, and which of it a client means."""

from __future__ import annotations

import re
from dataclasses import dataclass

from worksite.common.errors import StepRefused

_COMMIT_ID = re.compile(r"[0-9a-fA-F]{40}")
_SHORT_COMMIT_ID = re.compile(r"[0-9a-f]{7,39}")
_REF_NAME = re.compile(r"(?!.*\.\.)[^\x00-\x20\x7f~^:?*\[\\]+")
"""As git-check-ref-format(1) has it; a remote could announce anything."""
_HEADS = "refs/heads/"
_IMPORTED = "worksite/imported"


@dataclass(frozen=True)
class RemoteRefs:
    """The refs of a remote; `default` is the branch that its HEAD names."""

    names: frozenset[str]
    default: str | None

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
        return self.name.removeprefix(_HEADS) if self.name.startswith(_HEADS) else _IMPORTED


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
        elif _REF_NAME.fullmatch(name):  # leaves out the second line of an annotated tag, which ends with ^{}
            names.add(name)
    return RemoteRefs(frozenset(names), default if default in names else None)


def choose(refs: RemoteRefs, asked: str | None) -> Wanted:
    """The ref that a client means: branch before tag, as `git clone --branch` has it, then any ref, then a short id.

    A whole commit id is never a name: whoever may push a branch could otherwise replace a pinned commit.
    Raises StepRefused naming what is not there.
    """
    if asked is None:
        return _default(refs)
    if _COMMIT_ID.fullmatch(asked):
        return WantedCommit(asked.lower())
    for name in (_HEADS + asked, "refs/tags/" + asked, "refs/" + asked, asked):
        if name in refs.names:
            return WantedRef(name)
    if _SHORT_COMMIT_ID.fullmatch(asked):
        return WantedCommit(asked)
    raise StepRefused("unknown_ref", f"the repository has no branch or tag {asked!r}")


def _default(refs: RemoteRefs) -> Wanted:
    if refs.default:
        return WantedRef(refs.default)
    if "HEAD" in refs.names:
        return WantedRef("HEAD")
    raise StepRefused("unknown_ref", "the repository has no default branch: name a branch, tag or commit as `ref`")
