"""A bare repository of one step, and the worktree cut from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from worksite.builder.domain import authorship
from worksite.builder.domain.trees import TreeEntry, parse_tree
from worksite.builder.git import ATTRIBUTES, STRICT, Git, GitFailed

_CANDIDATE = "refs/worksite/candidate"


@dataclass(frozen=True)
class Repository:
    """Open with `Repository.create`; every method raises GitFailed or TimeoutError when git does."""

    git: Git

    @classmethod
    async def create(cls, directory: Path) -> Repository:
        """An empty bare repository in a new folder, deaf to every attribute of the trees it will hold."""
        directory.mkdir()  # noqa: ASYNC240  one empty folder
        git = Git(directory)
        await git("init", "--quiet", "--bare", "--template=", "--initial-branch=main", directory)
        (directory / "info").mkdir(exist_ok=True)
        (directory / "info" / "attributes").write_text(ATTRIBUTES)
        return cls(git)

    async def take_bundle(self, bundle: Path) -> None:
        """Every object of a bundle; its HEAD becomes `refs/worksite/base`."""
        await self.git("fetch", "--quiet", "--no-tags", bundle, "+HEAD:refs/worksite/base", protocols="file")

    async def take_pack(self, pack: BinaryIO, timeout_seconds: float) -> None:
        """Every object of a pack, checked; all that they name has to be there too."""
        await self.git("index-pack", "--stdin", STRICT, stdin=pack, timeout_seconds=timeout_seconds)

    async def take_stream(self, stream: BinaryIO, timeout_seconds: float) -> None:
        """What a stream for `git fast-import` makes, checked."""
        await self.git("fast-import", "--quiet", "--done", stdin=stream, timeout_seconds=timeout_seconds)
        await self.git("fsck", "--strict", "--no-progress", "--no-dangling", timeout_seconds=timeout_seconds)

    async def commit_named(self, name: str) -> str | None:
        """The id of the commit that a ref or an id names, or None."""
        try:
            found = await self.git("rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}")
        except GitFailed:
            return None
        return found.decode().strip()

    async def empty_tree(self) -> str:
        """The id of the tree without files, which is stored."""
        return (await self.git("mktree")).decode().strip()

    async def tree_of(self, commit: str) -> str:
        """The id of a commit's tree."""
        return (await self.git("rev-parse", "--verify", f"{commit}^{{tree}}")).decode().strip()

    async def commit_tree(self, tree: str, parents: Sequence[str], message: str, seconds: int) -> str:
        """A commit by our fixed identity; the same arguments make the same commit."""
        parent_options = [option for parent in parents for option in ("-p", parent)]
        made = await self.git(
            "commit-tree",
            *parent_options,
            "-F",
            "-",
            tree,
            stdin=message.encode(),
            env=authorship.identity(seconds),
        )
        return made.decode().strip()

    async def set_branch(self, branch: str, commit: str) -> None:
        """Point a branch at a commit, and HEAD at the branch."""
        await self.git("update-ref", f"refs/heads/{branch}", commit)
        await self.set_head(branch)

    async def set_head(self, branch: str) -> None:
        """Make a branch the one that a clone checks out."""
        await self.git("symbolic-ref", "HEAD", f"refs/heads/{branch}")

    async def set_tag(self, tag: str, commit: str) -> None:
        """A lightweight tag."""
        await self.git("update-ref", f"refs/tags/{tag}", commit)

    async def merge_base(self, one: str, other: str) -> str | None:
        """The best common ancestor, or None when the histories have nothing in common."""
        try:
            return (await self.git("merge-base", one, other)).decode().strip()
        except GitFailed:
            return None

    async def descends(self, head: str, base: str) -> bool:
        """Is the base an ancestor of the head, or the head itself?"""
        return await self.merge_base(base, head) == base

    async def write_patch(self, base: str, head: str, output_file: Path) -> None:
        """The commits between them for `git am`. What is no text is in it too, encoded."""
        plain = ("--no-signature", "--no-renames", "--no-ext-diff", "--no-textconv", "--no-color")
        options = ("--stdout", "--binary", "--full-index", *plain)
        await self.git("format-patch", *options, f"{base}..{head}", output_file=output_file)

    async def write_bundle(self, bundle: Path, refs: Sequence[str]) -> None:
        """HEAD and the refs, with their whole history."""
        await self.git("bundle", "create", "--quiet", bundle, "HEAD", *refs)

    async def write_commits(self, bundle: Path, base: str, head: str) -> None:
        """What the head has beside the base, for whoever has the base."""
        await self.git("update-ref", _CANDIDATE, head)
        await self.git("bundle", "create", "--quiet", bundle, _CANDIDATE, f"^{base}")

    async def files_changed(self, base: str, head: str) -> int:
        """How many paths differ."""
        options = ("-r", "-z", "--name-only", "--no-renames", "--no-ext-diff", "--no-textconv")
        return (await self.git("diff-tree", *options, base, head)).count(b"\0")

    async def entries(self, commit: str) -> list[TreeEntry]:
        """Every file, link and submodule of a commit, sorted by path."""
        return parse_tree(await self.git("ls-tree", "-r", "-l", "-z", "--full-tree", commit))

    async def contents(self, entries: Sequence[TreeEntry]) -> list[bytes]:
        """The contents of files, which have to fit into memory together."""
        contents: list[bytes] = []
        wanted = "".join(f"{entry.sha}\n" for entry in entries).encode()
        found, position = await self.git("cat-file", "--batch", stdin=wanted), 0
        for entry in entries:
            start = found.index(b"\n", position) + 1
            position = start + entry.size + 1
            contents.append(found[start : start + entry.size])
        return contents

    async def write_blobs(self, blobs: Sequence[str], output_file: Path) -> None:
        """The contents as `git cat-file --batch` writes them: a header line, the bytes, a newline, each."""
        wanted = "".join(f"{blob}\n" for blob in blobs).encode()
        await self.git("cat-file", "--batch", stdin=wanted, output_file=output_file)

    async def add_worktree(self, folder: Path, branch: str, base: str, start: str | None = None) -> Worktree:
        """A new branch at exactly `start`, by default the base, checked out in a new folder."""
        start = start or base
        await self.git("worktree", "add", "--quiet", "--no-track", "-b", branch, folder, start)
        worktree = Git(self.git.directory / "worktrees" / folder.name, folder)
        if (found := (await worktree("rev-parse", "HEAD")).decode().strip()) != start:
            raise GitFailed(f"the worktree is at {found}, not at {start}")
        return Worktree(self, worktree, folder, branch, base, start)


@dataclass(frozen=True)
class Worktree:
    """A git worktree with its own branch, which begins at `start`: the base, or earlier work upon it."""

    repository: Repository
    git: Git
    folder: Path
    branch: str
    base: str
    start: str

    async def commit_all(self, message: str, seconds: int) -> str | None:
        """Commit the folder as it is, ignored files included, as one commit on the base, in which earlier work is
        contained; None when it does not differ from the base."""
        tree = await self._tree()
        if tree == await self.repository.tree_of(self.base):
            return None
        commit = await self.repository.commit_tree(tree, [self.base], message, seconds)
        await self.git("update-ref", f"refs/heads/{self.branch}", commit, self.start)
        return commit

    async def candidate(self, message: str, seconds: int) -> str:
        """The folder as it is, as a commit on the base that no branch has."""
        return await self.repository.commit_tree(await self._tree(), [self.base], message, seconds)

    async def differs(self) -> bool:
        """Has anything been changed since the start?"""
        return await self._tree() != await self.repository.tree_of(self.start)

    async def _tree(self) -> str:
        await self.git("add", "--all", "--force", "--", ".")
        return (await self.git("write-tree")).decode().strip()
