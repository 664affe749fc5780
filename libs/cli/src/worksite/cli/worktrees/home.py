"""A person's repository, and the folder beside it that its worktrees are in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from worksite.cli.repository.git import Git, GitFailed, RepositoryError, directory
from worksite.cli.worktrees.locks import locked

ROLES = ("architect", "builder", "validator")
HEADS = "refs/heads/"
STARTING = "worksite worktrees start"
"""The reason that one is locked with until it is whole. Git's own reason is of somebody else's `git worktree add`."""
_INITIALIZING = "initializing"


@dataclass(frozen=True)
class Entry:
    """A worktree as git has it registered. `locked` is the reason, maybe empty; None: it is not."""

    path: Path
    head: str | None
    branch: str | None
    locked: str | None

    @property
    def unfinished(self) -> bool:
        """Its `worksite worktrees start` was killed."""
        return self.locked == STARTING

    @property
    def trouble(self) -> str | None:
        """Why it is no usable worktree, and what to do; None: it is one."""
        if self.unfinished:
            return "incomplete: 'worksite worktrees start' makes it anew"
        if self.locked == _INITIALIZING:
            return f"git is making it, or was killed doing so: 'git worktree remove -f -f {self.path}' takes it away"
        try:
            if not self.path.exists():
                return "not there: if you have moved it, 'git worktree repair ITS_PLACE', else 'git worktree prune'"
            return None if (self.path / ".git").exists() else "without its .git: 'git worktree repair' mends it"
        except OSError as error:
            return f"not to be looked at: {error.strerror}"


@dataclass(frozen=True)
class Home:
    """Open with `Home.of`."""

    git: Git
    common: Path
    """What all worktrees share: `.git` of the repository, or a bare one itself."""

    @classmethod
    async def of(cls, path: Path) -> Home:
        """The repository at a path, which may be one of its worktrees. Raises RepositoryError."""
        git = Git(directory(path))
        try:
            common = await git("rev-parse", "--path-format=absolute", "--git-common-dir")
        except GitFailed as error:
            raise RepositoryError(f"{path} is not a git repository ({error})") from error
        main = (await _entries(git))[0]
        return cls(Git(main.path), Path(common.rstrip("\n")))

    @property
    def top(self) -> Path:
        return self.git.directory

    @property
    def folder(self) -> Path:
        """Beside the repository, not in it: there, tools would search it and `git clean` would empty it."""
        return self.top.with_name(f"{self.top.name.removesuffix('.git')}-worktrees")

    def place(self, role: str) -> Path:
        return self.folder / role

    async def entries(self) -> dict[str, Entry]:
        """Those that are registered, by role."""
        registered = {entry.path: entry for entry in await _entries(self.git)}
        return {role: registered[self.place(role)] for role in ROLES if self.place(role) in registered}

    async def elsewhere(self) -> dict[str, Path]:
        """Where the branch of a role is checked out that is not in its place: a worktree that was moved, for one."""
        found = {entry.branch: entry.path for entry in await _entries(self.git)}
        checked_out = {role: found[branch_of(role)] for role in ROLES if branch_of(role) in found}
        return {role: path for role, path in checked_out.items() if path != self.place(role)}

    @contextmanager
    def to_itself(self) -> Iterator[Home]:
        """One command at a time changes what is here, each git that it has started included.

        Raises RepositoryError while another does.
        """
        with locked(self.common) as ours:
            if ours is None:
                raise RepositoryError(f"another 'worksite worktrees' is at work on {self.top}: wait until it has ended")
            yield replace(self, git=replace(self.git, inherited=(ours,)))

    def at(self, place: Path) -> Git:
        """git in one of its worktrees, under the same lock."""
        return replace(self.git, directory=place)


def branch_of(role: str) -> str:
    return f"worksite/{role}"


async def _entries(git: Git) -> list[Entry]:
    """The repository itself comes first."""
    blocks = (await git("worktree", "list", "--porcelain")).strip("\n").split("\n\n")
    return [_entry(dict(_fields(block))) for block in blocks]


def _fields(block: str) -> Iterator[tuple[str, str]]:
    for line in block.splitlines():
        name, _, value = line.partition(" ")
        yield name, value


def _entry(fields: dict[str, str]) -> Entry:
    branch = fields.get("branch")
    return Entry(
        path=Path(fields["worktree"]),
        head=fields.get("HEAD"),
        branch=branch.removeprefix(HEADS) if branch else None,
        locked=fields.get("locked"),
    )
