"""`worksite rag`: measure the knowledge base, back it up, put a copy back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from worksite.cli import commands_backup, commands_evaluation
from worksite.cli.client.access import DEFAULT_TENANT
from worksite.cli.commands_evaluation import Evaluation
from worksite.cli.invocation import end, finished, session_of
from worksite.cli.options import STATE, StateDir, Tenant
from worksite.cli.stack.state import State

rag = typer.Typer(help="Measure the knowledge base, back it up, put a copy back.", no_args_is_help=True)


@rag.command("eval")
def evaluate(
    collection: Annotated[
        Path, typer.Argument(help="folder with corpus.jsonl, queries.jsonl and qrels/test.tsv", show_default=False)
    ],
    keep: Annotated[bool, typer.Option("--keep", help="leave the documents in the knowledge base")] = False,
    state: StateDir = STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Measure search on a test collection: ingests it, asks its queries in four ways, removes it again."""
    finished(commands_evaluation.run(Evaluation(collection, keep), session_of(state, tenant)))


@rag.command("backup")
def back_up(
    archive: Annotated[Path, typer.Argument(metavar="FILE", help="the file to write", show_default=False)],
    state: StateDir = STATE,
) -> None:
    """Write the index, and what was embedded, to a file; while no stack is running."""
    end(finished(commands_backup.run("create", archive.absolute(), State(state.absolute()))))


@rag.command("restore")
def restore(
    archive: Annotated[
        Path, typer.Argument(metavar="FILE", help="a file of 'worksite rag backup'", show_default=False)
    ],
    state: StateDir = STATE,
) -> None:
    """Put the index of a backup in the place of the present one; while no stack is running."""
    end(finished(commands_backup.run("restore", archive.absolute(), State(state.absolute()))))
