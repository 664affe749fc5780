"""From a parsed command line to its work: run it to the end, and tell a person how it ended."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import sys
from collections.abc import Coroutine, Generator
from pathlib import Path
from typing import Any, TypeVar

import typer
from worksite.cli import places
from worksite.cli.client.access import NoAccess
from worksite.cli.client.refusals import GatewayError, NotTaken
from worksite.cli.knowledge.files import NothingThere
from worksite.cli.repository.criteria import CriteriaError
from worksite.cli.repository.git import RepositoryError
from worksite.cli.session import Session, StackOptions
from worksite.cli.stack.embedded import Ports
from worksite.cli.stack.errors import NotReady, StateInUse
from worksite.common.errors import WorksiteError
from worksite.common.retrieval.collections import CollectionError
from worksite.common.secrets.errors import SecretsUnavailable

T = TypeVar("T")
_FOR_A_PERSON = (
    CollectionError,
    CriteriaError,
    GatewayError,
    NoAccess,
    NotReady,
    NothingThere,
    OSError,
    RepositoryError,
    SecretsUnavailable,
    WorksiteError,
)
"""Errors whose text says what to do."""


def session_of(state: Path, tenant: str) -> Session:
    """Whose gateway, in whose name."""
    return Session(state.absolute(), tenant)


def stack_for(session: Session, root: Path, port: int, admin_port: int) -> StackOptions:
    """What is needed to start a stack is asked for only where one has to be started."""
    with told():
        running = session.has_gateway()
    return StackOptions(root if running else checked(root), Ports(port, admin_port))


def checked(root: Path) -> Path:
    """Raises typer.BadParameter where it is no checkout of Worksite."""
    if not places.is_checkout(root):
        raise typer.BadParameter(
            f"{root.absolute()} has no blueprints/ and policies/: it takes Worksite's own checkout to start a stack; "
            "name it with --root or WORKSITE_ROOT"
        )
    return root.absolute()


def finished(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end."""
    logging.getLogger("worksite").addHandler(logging.NullHandler())  # what matters here is said by the command
    with told():
        return asyncio.run(_until_terminated(work))


@contextlib.contextmanager
def told() -> Generator[None]:
    """An error that a person can act on is one line; exit code 2 where what was given does not fit, else 1."""
    try:
        yield
    except _FOR_A_PERSON as error:
        print(f"worksite: {error}", file=sys.stderr)
        if isinstance(error, NotReady) and not isinstance(error, StateInUse):
            print("run 'worksite doctor' to see what this machine lacks and how to get it", file=sys.stderr)
        raise typer.Exit(2 if isinstance(error, NotTaken) else 1) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130) from None


def end(well: bool) -> None:
    """Raises typer.Exit with the code that says so."""
    raise typer.Exit(0 if well else 1)


async def _until_terminated(work: Coroutine[Any, Any, T]) -> T:
    """SIGTERM, and a terminal that is closed, end the work as Ctrl-C does: in order."""
    task = asyncio.ensure_future(work)
    for request in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(request) is not signal.SIG_IGN:  # nohup
            asyncio.get_running_loop().add_signal_handler(request, task.cancel)
    return await task
