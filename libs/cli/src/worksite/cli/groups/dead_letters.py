"""`worksite dlq`: what no service could handle."""

from __future__ import annotations

from typing import Annotated

import typer
from worksite.cli import commands_dead_letters
from worksite.cli.client.access import DEFAULT_TENANT
from worksite.cli.invocation import end, finished, session_of
from worksite.cli.options import STATE, Letter, Letters, StateDir, Tenant

dlq = typer.Typer(help="Dead letters: what no service could handle. For operators.", no_args_is_help=True)


@dlq.command("ls")
def list_dead_letters(
    service: Annotated[str | None, typer.Option("--service", help="only those of this service, e.g. builder")] = None,
    state: StateDir = STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """List the letters that nothing was done about yet, oldest first."""
    finished(commands_dead_letters.show_all(service, session_of(state, tenant)))


@dlq.command("show")
def show_dead_letter(letter: Letter, state: StateDir = STATE, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Show one letter: the reason, the headers and the message itself."""
    finished(commands_dead_letters.show(letter, session_of(state, tenant)))


@dlq.command("redrive")
def redrive_dead_letters(letters: Letters, state: StateDir = STATE, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Have messages handled again; exit code 1 when one is refused."""
    end(finished(commands_dead_letters.redrive(tuple(letters), session_of(state, tenant))))


@dlq.command("purge")
def purge_dead_letters(letters: Letters, state: StateDir = STATE, tenant: Tenant = DEFAULT_TENANT) -> None:
    """Give letters up: nobody is shown them any more."""
    end(finished(commands_dead_letters.purge(tuple(letters), session_of(state, tenant))))
