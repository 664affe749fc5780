"""`worksite worktrees`: for people who want to be architect, builder and validator themselves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from worksite.cli import commands_worktrees
from worksite.cli.invocation import end, finished
from worksite.cli.session import Screen

worktrees = typer.Typer(
    help="Worktrees architect, builder and validator beside a local repository.", no_args_is_help=True
)
Repository = Annotated[
    Path | None, typer.Argument(help="a local repository; default: the one of this folder", show_default=False)
]


@worktrees.command("start")
def start(
    path: Repository = None,
    base: Annotated[
        str | None, typer.Option("--base", help="the commit to begin with; default: what is checked out")
    ] = None,
) -> None:
    """Make the worktrees, each on a branch of its own, from one exact commit."""
    finished(commands_worktrees.start(path, base, Screen()))


@worktrees.command("list")
def show(path: Repository = None) -> None:
    """Say of each what is uncommitted, how far it is ahead or behind, and whether it is in use."""
    finished(commands_worktrees.show(path, Screen()))


@worktrees.command("clean")
def clean(
    path: Repository = None,
    discard_ignored: Annotated[
        bool, typer.Option("--discard-ignored", help="let worktrees go whose ignored files are in no commit")
    ] = False,
) -> None:
    """Commit what is not committed, and take the worktrees away; those in use stay, and the exit code is 1."""
    end(finished(commands_worktrees.clean(path, discard_ignored, Screen())))
