"""Bring the branch of a bundle into a person's repository: a new branch there, and nothing else unless asked for."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worksite.cli.repository.git import Git, GitFailed, RepositoryError, directory
from worksite.cli.repository.operations import underway

_HEADS = "refs/heads/"
_OURS = f"{_HEADS}worksite/"
_LISTED = 5


@dataclass(frozen=True)
class Offer:
    """A branch in a repository of our own, which nothing else uses."""

    repository: Path
    branch: str
    commit: str


@dataclass(frozen=True)
class Wanted:
    """What is to be brought; `branch` is its name in the person's repository."""

    offer: Offer
    branch: str
    switch: bool = False


@dataclass(frozen=True)
class Applied:
    """Where the branch is now, in lines for a person."""

    said: str
    next_steps: tuple[str, ...]


async def opened(bundle: Path) -> Offer:
    """Unpack a task's bundle beside it, and find its one branch below `worksite/`. Raises RepositoryError."""
    repository = bundle.with_suffix(".git")
    git = Git(bundle.parent)
    try:
        await git("init", "--quiet", "--bare", "--template=", repository)
        heads = await git.lines("bundle", "list-heads", bundle)
        refs = [ref for commit, _, ref in (head.partition(" ") for head in heads) if ref.startswith(_OURS)]
        if len(refs) != 1:
            raise RepositoryError(f"the task's bundle should hold one branch worksite/…, but holds {'; '.join(heads)}")
        await Git(repository)("fetch", "--quiet", "--no-tags", bundle, f"{refs[0]}:{refs[0]}")
        commit = await Git(repository)("rev-parse", "--verify", refs[0])
    except GitFailed as error:
        raise RepositoryError(f"the task's bundle cannot be read: {error}") from error
    return Offer(repository, refs[0].removeprefix(_HEADS), commit.strip())


async def apply(wanted: Wanted, path: Path) -> Applied:
    """Raises RepositoryError; then the repository's branches and files are as they were, unless the text says so."""
    if not await Git(wanted.offer.repository).agrees("check-ref-format", "--branch", wanted.branch):
        raise RepositoryError(f"{wanted.branch!r} is no name for a branch")
    if _is_free(path):
        return await _new_repository(wanted, path)
    return await _Target(await _repository(path), wanted).take()


async def _new_repository(wanted: Wanted, path: Path) -> Applied:
    """All or nothing: what was made here goes again when it fails."""
    remove = _make(path)
    git = Git(path)
    try:
        await git("init", "--quiet", "--template=", f"--initial-branch={wanted.branch}")
        await _fetch(git, wanted, "--update-head-ok")
        await git("reset", "--quiet", "--hard")
    except BaseException:
        remove()
        raise
    return Applied(f"{path} is a new repository with {wanted.branch} checked out", (f"git -C {path} log --stat",))


def _is_free(path: Path) -> bool:
    return not path.exists() or (path.is_dir() and not any(path.iterdir()))


def _make(path: Path) -> Callable[[], None]:
    """Make a folder where there is none; returns what takes everything away again that was not there before."""
    path = path.absolute()
    absent = [place for place in (path, *path.parents) if not place.exists()]
    path.mkdir(parents=True, exist_ok=True)

    def remove() -> None:
        for made in path.iterdir():
            shutil.rmtree(made) if made.is_dir() and not made.is_symlink() else made.unlink()
        for place in absent:
            place.rmdir()

    return remove


async def _repository(path: Path) -> Git:
    git = Git(directory(path))
    try:
        if await git("rev-parse", "--is-inside-work-tree") == "true\n":
            return Git(Path((await git("rev-parse", "--show-toplevel")).rstrip("\n")))
        await git("rev-parse", "--absolute-git-dir")
    except GitFailed as error:
        raise RepositoryError(
            f"{path} is not a git repository ({error}): name one, or a folder that is new or empty"
        ) from error
    return git


@dataclass(frozen=True)
class _Target:
    """A repository with files or history of its own."""

    git: Git
    wanted: Wanted

    async def take(self) -> Applied:
        if self.wanted.switch:
            await self._check_nothing_can_be_lost()
        if not await self._is_there_already():
            await _fetch(self.git, self.wanted)
        if self.wanted.switch:
            await self._switch()
        return await self._told()

    async def _is_there_already(self) -> bool:
        """Is the branch there, at the same commit? Raises RepositoryError where it could only be overwritten."""
        branch, ours = self.wanted.branch, await self._commit(f"{_HEADS}{self.wanted.branch}")
        if ours is None:
            return False
        if ours == self.wanted.offer.commit:
            return True
        if branch in await self._checked_out():
            raise RepositoryError(f"{branch} is checked out, at another commit: pass --branch NAME for another branch")
        return False

    async def _checked_out(self) -> set[str]:
        lines = await self.git.lines("worktree", "list", "--porcelain")
        return {line.removeprefix(f"branch {_HEADS}") for line in lines if line.startswith("branch ")}

    async def _check_nothing_can_be_lost(self) -> None:
        if await self.git.says("rev-parse", "--is-inside-work-tree") != "true":
            raise RepositoryError(f"{self.git.directory} has no working tree: leave --switch out")
        if operation := await underway(self.git):
            raise RepositoryError(f"{self.git.directory} is in the middle of {operation}: end it first")
        changed = await self.git.lines("status", "--porcelain", "--no-renames", "--untracked-files=no", "-z")
        if changed:
            paths = _some([entry[3:] for entry in changed])
            raise RepositoryError(f"uncommitted changes in {paths}: commit or stash them, or leave --switch out")

    async def _switch(self) -> None:
        """git would overwrite ignored files without a word, so what is in the way is looked for here."""
        branch = self.wanted.branch
        try:
            if lost := await self._in_the_way():
                raise RepositoryError(f"it would overwrite {_some(lost)}, which git does not track")
            await self.git("switch", "--quiet", "--no-guess", branch)
        except RepositoryError as error:
            raise RepositoryError(f"{branch} is there, but was not checked out: {error}") from error

    async def _in_the_way(self) -> list[str]:
        """Files of ours that no commit holds, where the branch has a file or a folder."""
        top = self.git.directory
        tracked = set(await self.git.lines("ls-files", "-z"))
        theirs = await self.git.lines("ls-tree", "-r", "-z", "--name-only", f"{_HEADS}{self.wanted.branch}")
        found: dict[str, None] = {}
        for name in theirs:
            if name not in tracked:
                found |= dict.fromkeys(place for place in _places(name) if _is_file(top / place))
                found |= dict.fromkeys(_files_below(top, name))
        return [place for place in found if place not in tracked]

    async def _told(self) -> Applied:
        branch, top = self.wanted.branch, self.git.directory
        current = await self.git.says("symbolic-ref", "--quiet", "--short", "HEAD") or "HEAD"
        where = "and checked out" if self.wanted.switch else "; your files are as they were"
        said = f"{branch} is in {top}{' ' if self.wanted.switch else ''}{where}"
        if current == branch:
            return Applied(said, ("git log --stat",))
        if await self._commit("HEAD") is None:
            return Applied(said, (f"git switch {branch}",))
        if not await self.git.agrees("merge-base", "HEAD", branch):
            return Applied(
                f"{said}. It is a project of its own: its history and that of {current} have nothing in common",
                (f"git log --stat {branch}", f"git merge --allow-unrelated-histories {branch}"),
            )
        return Applied(said, (f"git diff {current}...{branch}", f"git merge {branch}"))

    async def _commit(self, ref: str) -> str | None:
        return await self.git.says("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}")


async def _fetch(git: Git, wanted: Wanted, *options: str) -> None:
    """One ref, and only forward: a refspec without `+`, so git itself refuses to overwrite a branch.

    From a repository, because git examines the objects of a bundle only since 2.46.
    """
    offer = wanted.offer
    bare = ("--no-tags", "--no-write-fetch-head", "--no-auto-maintenance", "--no-prune", "--no-recurse-submodules")
    refspec = f"{_HEADS}{offer.branch}:{_HEADS}{wanted.branch}"
    try:
        await git("fetch", *bare, *options, offer.repository, refspec)
    except GitFailed as error:
        if "non-fast-forward" in str(error):
            raise RepositoryError(
                f"a branch {wanted.branch} is there and holds other work: pass --branch NAME for another name"
            ) from error
        raise RepositoryError(f"the branch could not be fetched: {error}") from error


def _places(name: str) -> list[str]:
    """A path and the folders that it needs."""
    return [name, *(parent.as_posix() for parent in Path(name).parents[:-1])]


def _is_file(path: Path) -> bool:
    return path.is_symlink() or (path.exists() and not path.is_dir())


def _files_below(top: Path, name: str) -> Iterator[str]:
    """What a folder of ours holds that would have to become a file."""
    if (top / name).is_dir() and not (top / name).is_symlink():
        yield from (file.relative_to(top).as_posix() for file in (top / name).rglob("*") if _is_file(file))


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
