"""`worksite knowledge`: see and remove what was ingested."""

from __future__ import annotations

from typing import Annotated

import typer
from worksite.cli import commands_knowledge
from worksite.cli.client.access import DEFAULT_TENANT
from worksite.cli.invocation import end, finished, session_of
from worksite.cli.options import STATE, StateDir, Tenant
from worksite.common.messages import DocumentState

knowledge = typer.Typer(help="See and remove what was ingested.", no_args_is_help=True)


@knowledge.command("ls")
def list_documents(
    status: Annotated[DocumentState | None, typer.Option("--status", help="only these")] = None,
    state: StateDir = STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """List documents with their states."""
    finished(commands_knowledge.show(status, session_of(state, tenant)))


@knowledge.command("rm")
def remove_documents(
    documents: Annotated[list[str], typer.Argument(help="paths or ids", show_default=False)],
    state: StateDir = STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Remove documents."""
    end(finished(commands_knowledge.remove(tuple(documents), session_of(state, tenant))))
