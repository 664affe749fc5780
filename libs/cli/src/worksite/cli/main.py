"""The `worksite` command line."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Coroutine
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer
from pydantic import SecretStr
from rich.console import Console
from worksite.cli import commands
from worksite.cli.client.access import DEFAULT_ROLE, DEFAULT_TENANT, NoAccess
from worksite.cli.client.gateway import GatewayError
from worksite.cli.commands import Submission
from worksite.cli.stack.embedded import NotReady, Ports
from worksite.cli.stack.state import StateInUse
from worksite.cli.stack.supervisor import CannotStart
from worksite.common.bus import BusSettings
from worksite.common.errors import WorksiteError

T = TypeVar("T")
app = typer.Typer(
    help="Worksite turns a software request into a validated git branch.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

StateDir = Annotated[
    Path, typer.Option("--state", envvar="WORKSITE_STATE", help="where the stack on this machine keeps its data")
]
Root = Annotated[
    Path, typer.Option("--root", envvar="WORKSITE_ROOT", help="the directory that holds blueprints/ and policies/")
]
Tenant = Annotated[str, typer.Option("--tenant", help="in whose name")]
Out = Annotated[Path, typer.Option("--out", help="where results are written")]
Request = Annotated[str, typer.Argument(help='what you want, e.g. "Create auth system"', show_default=False)]
RouteName = Annotated[str | None, typer.Option("--route", help="feature, fix, review, design or question")]
GitUrl = Annotated[str | None, typer.Option("--git-url", help="work on this repository")]
Ref = Annotated[str | None, typer.Option("--ref", help="its branch, tag or commit")]
Name = Annotated[str | None, typer.Option("--name", help="name of the new project")]
GatewayPort = Annotated[
    int, typer.Option("--port", envvar="DASHBOARD_PORT", help="the gateway's port; 0: any free one")
]
AdminPort = Annotated[
    int, typer.Option("--admin-port", envvar="ADMIN_PORT", help="admin's operations port; 0: any free one")
]

_STATE, _ROOT, _OUT = Path(".worksite"), Path(), Path("out")


@app.command()
def up(state: StateDir = _STATE, root: Root = _ROOT, port: GatewayPort = 8000, admin_port: AdminPort = 8080) -> None:
    """Run the whole system on this machine until Ctrl-C."""
    _await(commands.up(state.absolute(), _checked(root), Ports(port, admin_port), Console()))


@app.command()
def run(
    request: Request,
    route: RouteName = None,
    name: Name = None,
    git_url: GitUrl = None,
    ref: Ref = None,
    state: StateDir = _STATE,
    root: Root = _ROOT,
    out: Out = _OUT,
    tenant: Tenant = DEFAULT_TENANT,
    port: GatewayPort = 0,
    admin_port: AdminPort = 0,
) -> None:
    """Submit a request, follow it, write out/<task>/; starts and stops a stack when none is running.

    Ends with one line PASS|FAIL|NEEDS_INPUT and the exit code 0|1|2 (see the README of libs/cli for the rest).
    """
    submission = Submission(request, route, name, git_url, ref)
    ports = Ports(port, admin_port)
    code = _await(commands.run(submission, state.absolute(), _checked(root), ports, out, tenant, Console()))
    raise typer.Exit(code)


@app.command()
def submit(
    request: Request,
    route: RouteName = None,
    name: Name = None,
    git_url: GitUrl = None,
    ref: Ref = None,
    idempotency_key: Annotated[
        str | None, typer.Option("--idempotency-key", help="repeat safely with the same key")
    ] = None,
    state: StateDir = _STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Submit a request to the running stack and print the task's id."""
    submission = Submission(request, route, name, git_url, ref)
    print(_await(commands.submit(submission, state.absolute(), tenant, idempotency_key)))


@app.command()
def watch(
    task: Annotated[str, typer.Argument(help="the task's id", show_default=False)],
    state: StateDir = _STATE,
    out: Out = _OUT,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Follow a task to its end and fetch what it made; exit code as for run."""
    raise typer.Exit(_await(commands.watch(task, state.absolute(), out, tenant, Console())))


@app.command()
def cancel(
    task: Annotated[str, typer.Argument(help="the task's id", show_default=False)],
    state: StateDir = _STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Ask a task to end."""
    _await(commands.cancel(task, state.absolute(), tenant))


@app.command()
def search(
    query: Annotated[str, typer.Argument(help="what to look for", show_default=False)],
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=50, help="how many passages")] = 5,
    mode: Annotated[str, typer.Option("--mode", help="dense, sparse or hybrid")] = "hybrid",
    state: StateDir = _STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Search the knowledge base."""
    _await(commands.search(query, top_k, mode, state.absolute(), tenant, Console()))


@app.command()
def token(
    tenant: Tenant = DEFAULT_TENANT,
    role: Annotated[str, typer.Option("--role", help="viewer, developer, approver or operator")] = DEFAULT_ROLE,
    state: StateDir = _STATE,
) -> None:
    """Print a bearer token for the running stack, e.g. for curl."""
    print(_await(commands.token(state.absolute(), tenant, role)))


@app.command()
def provision(
    nats_url: Annotated[
        str, typer.Option("--nats-url", envvar="NATS_URL", help="the message bus")
    ] = "nats://127.0.0.1:4222",
    nats_user: Annotated[
        str | None, typer.Option("--nats-user", envvar="NATS_USER", help="a user that may create streams")
    ] = None,
    disk_gib: Annotated[float, typer.Option("--disk-gib", min=0.1, help="disk that JetStream may use")] = 10,
    replicas: Annotated[int, typer.Option("--replicas", min=1, max=5, help="copies of each stream")] = 1,
) -> None:
    """Create or update the streams, buckets and consumers; the password comes from NATS_PASSWORD."""
    password = os.environ.get("NATS_PASSWORD")
    settings = BusSettings(nats_url, "provision", nats_user, SecretStr(password) if password else None)
    _await(commands.create_streams(settings, int(disk_gib * (1 << 30)), replicas))
    print("provisioned")


def _checked(root: Path) -> Path:
    """Raises typer.BadParameter where there are no blueprints."""
    if not (root / "blueprints").is_dir():
        raise typer.BadParameter(f"{root.absolute()} has no blueprints/: run this in the repository or pass --root")
    return root.absolute()


def _await(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; an error that a person can act on is one line and exit code 1."""
    logging.getLogger("worksite").addHandler(logging.NullHandler())  # what matters here is said by the command
    try:
        return asyncio.run(_until_terminated(work))
    except (NoAccess, GatewayError, CannotStart, NotReady, StateInUse, WorksiteError, OSError) as error:
        print(f"worksite: {error}", file=sys.stderr)
        raise typer.Exit(1) from None
    except (KeyboardInterrupt, asyncio.CancelledError):
        raise typer.Exit(130) from None


async def _until_terminated(work: Coroutine[Any, Any, T]) -> T:
    """SIGTERM ends the work as Ctrl-C does: in order."""
    task = asyncio.ensure_future(work)
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    return await task


def main() -> None:
    """Entry point."""
    app()


if __name__ == "__main__":
    main()
