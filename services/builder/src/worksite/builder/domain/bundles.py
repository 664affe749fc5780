"""The header of a git bundle (gitformat-bundle): what it offers, and whether that is a whole repository."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from worksite.builder.domain.remote_refs import REF_NAME, RemoteRefs
from worksite.common.errors import StepRefused

MAKE_ONE = "make one with `git bundle create repo.bundle --all`"
_MAX_HEADER_BYTES = 16 << 20
_SIGNATURES = (b"# v2 git bundle\n", b"# v3 git bundle\n")
_REF_LINE = re.compile(r"([0-9a-f]{40}) (.+)")
_HEADS = "refs/heads/"
_USUAL = (f"{_HEADS}main", f"{_HEADS}master")


@dataclass(frozen=True)
class Bundle:
    """The commit or tag behind each ref, and where the pack begins, in bytes."""

    ids: Mapping[str, str]
    pack_offset: int

    @property
    def refs(self) -> RemoteRefs:
        """No ref means HEAD, else the only branch. A review compares with main or master, else with the branch that
        the bundle's origin calls its default, else with HEAD's."""
        branches = sorted(name for name in self.ids if name.startswith(_HEADS))
        default = self._head(branches) or (branches[0] if len(branches) == 1 else None)
        trunk = next((name for name in (*_USUAL, "refs/remotes/origin/HEAD") if name in self.ids), default)
        return RemoteRefs(frozenset(self.ids), default, trunk)

    def _head(self, branches: list[str]) -> str | None:
        """A bundle does not say which branch HEAD is on: one of the same commit, chosen as `git clone` does."""
        head = self.ids.get("HEAD")
        same = [name for name in (*_USUAL, *branches) if head and self.ids.get(name) == head]
        return same[0] if same else ("HEAD" if head else None)


def parse_bundle(data: bytes) -> Bundle:
    """Read the header. Raises StepRefused for what is no bundle, or not the bundle of a whole repository."""
    header, end, _ = data[:_MAX_HEADER_BYTES].partition(b"\n\n")
    signature = header[: len(_SIGNATURES[0])]
    if signature not in _SIGNATURES or not end:
        raise StepRefused("upload_unreadable", f"the upload is not a git bundle, or is cut off: {MAKE_ONE}")
    ids: dict[str, str] = {}
    for line in header[len(signature) :].decode(errors="replace").split("\n"):
        _refuse_partial(line)
        ref = _REF_LINE.fullmatch(line)
        if ref and REF_NAME.fullmatch(ref[2]):
            ids.setdefault(ref[2], ref[1])
    if not ids:
        raise StepRefused("upload_unreadable", f"the bundle names no branch or tag: {MAKE_ONE}")
    return Bundle(ids, len(header) + len(end))


def broken_bundle(said: str) -> StepRefused:
    """What git's complaint about the pack means for the client, in our words: it repeats names from the bundle."""
    if "did not receive expected object" in said or "unresolved delta" in said:
        return StepRefused(
            "incomplete_history",
            "the bundle lacks objects that its commits need: in a full clone (`git fetch --unshallow` completes a "
            f"shallow one, `git fetch --refetch` a partial one), {MAKE_ONE}",
        )
    if "fsck error" in said or "error in object" in said:
        return StepRefused(
            "unsafe_repository", "git refuses objects of the bundle: `git fsck` in your repository names them"
        )
    return StepRefused("upload_unreadable", f"the bundle is broken: {MAKE_ONE}, and see `git fsck`")


def _refuse_partial(line: str) -> None:
    if line.startswith("@object-format=") and line != "@object-format=sha1":
        raise StepRefused("unsupported_repository", "SHA-256 repositories are not supported, only SHA-1")
    if line.startswith("@filter="):
        raise StepRefused(
            "incomplete_history",
            f"the bundle was made with --filter and leaves out objects: without that option, {MAKE_ONE}",
        )
    if line.startswith("-"):
        raise StepRefused(
            "incomplete_history",
            f"the bundle builds on commits that it does not hold: with the whole history, {MAKE_ONE}",
        )
    if line.startswith("@") and not line.startswith("@object-format="):
        raise StepRefused("upload_unreadable", f"the bundle asks for an unknown capability: with plain git, {MAKE_ONE}")
