"""A local repository as one bundle: what is to be worked on or judged, and its default branch, with their history."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from pydantic import TypeAdapter, ValidationError
from worksite.cli.repository.git import Git, GitFailed, RepositoryError, directory
from worksite.common.messages.sources import GitRef, ProjectName

_HEADS, _TAGS = "refs/heads/", "refs/tags/"
_GIT_REF: TypeAdapter[str] = TypeAdapter(GitRef)
_PROJECT_NAME: TypeAdapter[str] = TypeAdapter(ProjectName)
_LISTED = 8


@dataclass(frozen=True)
class Named:
    """A commit under the full name that it has in the bundle."""

    ref: str
    commit: str

    @property
    def short(self) -> str:
        """As `POST /v1/tasks` takes it."""
        return self.ref.removeprefix(_HEADS).removeprefix(_TAGS)


@dataclass(frozen=True)
class Bundle:
    """A bundle file, and what it holds."""

    file: Path
    head: Named
    base: Named | None
    uncommitted: int
    name: str | None = None
    """The repository's, as far as it can be that of a project."""

    @property
    def size(self) -> str:
        kib = self.file.stat().st_size / 1024
        return f"{kib:.1f} KiB" if kib < 1024 else f"{kib / 1024:.1f} MiB"


@dataclass(frozen=True)
class LocalRepository:
    """Open with `LocalRepository.open`; nothing here changes the repository."""

    git: Git
    top: Path

    @classmethod
    async def open(cls, path: Path) -> LocalRepository:
        """Raises RepositoryError where a bundle of it cannot be made."""
        git = Git(directory(path))
        try:
            found = Path((await git("rev-parse", "--absolute-git-dir")).rstrip("\n"))
        except GitFailed as error:
            raise RepositoryError(f"{path} is not a git repository: {error}") from error
        top = await git.says("rev-parse", "--show-toplevel")  # a bare repository has none
        repository = cls(git, Path(top) if top else found)
        await repository._check()
        return repository

    async def commit(self, ref: str) -> str:
        """The id of the commit that a ref names. Raises RepositoryError."""
        found = await self.git.says("rev-parse", "--verify", "--quiet", "--end-of-options", f"{ref}^{{commit}}")
        if found is None:
            branches = await self.git.lines("for-each-ref", "--format=%(refname:short)", "refs/heads")
            raise RepositoryError(f"there is no ref {ref!r} in {self.top}; its branches: {_some(branches)}")
        return found

    async def uncommitted(self) -> int:
        """How many paths differ from the last commit."""
        try:
            git = await self.git.without_filters()  # to be judged by us a repository runs nothing of its own
            return len(await git.lines("status", "--porcelain", "--no-renames"))
        except GitFailed:  # a bare repository
            return 0

    async def bundle(self, workplace: Path, ref: str | None, base: str | None) -> Bundle:
        """Write a bundle whose HEAD is the default branch, or the head where there is none. Raises RepositoryError."""
        head = await self._named(ref or "HEAD")
        against = await self._named(base) if base else None
        default = await self._default() or head
        if default.ref == head.ref:  # a local branch of that name comes before what was fetched of it
            default = head
        file = workplace / "project.bundle"
        await self._write(file, default, [one for one in (head, against, default) if one])
        return Bundle(file, head, against, await self.uncommitted(), _project_name(self.top))

    async def _check(self) -> None:
        if await self.git.says("rev-parse", "--is-shallow-repository") == "true":
            raise RepositoryError(
                f"{self.top} is a shallow clone, which lacks history: run 'git fetch --unshallow' first"
            )
        if await self.git.says("rev-parse", "--show-object-format") != "sha1":
            raise RepositoryError(f"{self.top} names its objects by SHA-256; only SHA-1 repositories are supported")
        if await self.git.says("rev-list", "--all", "--max-count=1") is None and not await self.git.agrees(
            "rev-parse", "--verify", "--quiet", "HEAD^{commit}"
        ):
            raise RepositoryError(f"{self.top} has no commits yet: commit something first")

    async def _named(self, ref: str) -> Named:
        """Under the name of the branch or tag that `ref` is, else under one made of the commit's id."""
        commit = await self.commit(ref)
        full = await self.git.says("rev-parse", "--symbolic-full-name", "--verify", "--quiet", "--end-of-options", ref)
        if full and full.startswith((_HEADS, _TAGS)) and _can_travel(full):
            return Named(full, commit)
        return Named(f"{_HEADS}commit-{commit[:12]}", commit)

    async def _default(self) -> Named | None:
        """The branch that `origin` calls its default, else main or master; as it is here, else as it was fetched."""
        remote = await self.git.says("symbolic-ref", "--quiet", "refs/remotes/origin/HEAD")
        names = [remote.removeprefix("refs/remotes/origin/")] if remote else ["main", "master"]
        places = [f"{_HEADS}{name}" for name in names] + ([remote] if remote else [])
        for place in places:
            commit = await self.git.says("rev-parse", "--verify", "--quiet", f"{place}^{{commit}}")
            ref = _HEADS + re.sub(r"^refs/(heads|remotes/origin)/", "", place)
            if commit and _can_travel(ref):
                return Named(ref, commit)
        return None

    async def _write(self, file: Path, default: Named, refs: list[Named]) -> None:
        """Through a bare repository that borrows the objects, so that the bundle's refs are ours to choose."""
        borrowing = file.with_suffix(".git")
        await self.git("init", "--quiet", "--bare", "--template=", borrowing)
        objects = (self.git.directory / (await self.git("rev-parse", "--git-path", "objects")).rstrip("\n")).resolve()
        (borrowing / "objects" / "info").mkdir(exist_ok=True)
        (borrowing / "objects" / "info" / "alternates").write_text(f"{objects}\n")
        git = Git(borrowing)
        for one in refs:
            await git("update-ref", one.ref, one.commit)
        await git("symbolic-ref", "HEAD", default.ref)
        names = sorted({one.ref for one in refs})
        await git("bundle", "create", "--quiet", file, "HEAD", *names)


def _can_travel(full: str) -> bool:
    """Does the gateway take this name? It takes fewer characters than git."""
    try:
        _GIT_REF.validate_python(full.removeprefix(_HEADS).removeprefix(_TAGS))
    except ValidationError:
        return False
    return True


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return (", ".join(names[:_LISTED]) or "none") + more


def _project_name(top: Path) -> str | None:
    try:
        return _PROJECT_NAME.validate_python(re.sub(r"[^A-Za-z0-9._-]", "-", top.name.removesuffix(".git"))[:64])
    except ValidationError:
        return None
