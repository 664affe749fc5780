"""`worksite route`: which way a request would take, and how well that is found out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from worksite.cli import commands_route
from worksite.cli.client.access import DEFAULT_TENANT
from worksite.cli.invocation import finished, session_of, stack_for
from worksite.cli.options import ROOT, STATE, AdminPort, GatewayPort, Request, Root, RouteName, StateDir, Tenant
from worksite.cli.routing.labelled import Split

REQUESTS = Path("services/admin/tools/requests.jsonl")

commands = typer.Typer(help="How requests are routed.", no_args_is_help=True)


@commands.command("explain")
def explain(
    request: Request,
    route: RouteName = None,
    existing: Annotated[
        bool,
        typer.Option("--existing", help="about an existing project, as with --repo or --git-url; default: a new one"),
    ] = False,
    state: StateDir = STATE,
    root: Root = ROOT,
    tenant: Tenant = DEFAULT_TENANT,
    port: GatewayPort = 0,
    admin_port: AdminPort = 0,
) -> None:
    """Tell which route a request would take and why; makes no task and asks no model."""
    session = session_of(state, tenant)
    stack = stack_for(session, root, port, admin_port)
    finished(commands_route.explain(request, route, existing, session, stack))


@commands.command("eval")
def evaluate(
    requests: Annotated[
        Path | None, typer.Argument(help="labelled requests; default: those of the checkout", show_default=False)
    ] = None,
    split: Annotated[Split, typer.Option("--split", help="train and dev were trained on, test was not")] = "test",
    state: StateDir = STATE,
    root: Root = ROOT,
    tenant: Tenant = DEFAULT_TENANT,
    port: GatewayPort = 0,
    admin_port: AdminPort = 0,
) -> None:
    """Measure routing on labelled requests: accuracy, calibration, cost, time. Asks no model."""
    session = session_of(state, tenant)
    stack = stack_for(session, root, port, admin_port)
    finished(commands_route.evaluate(requests or root / REQUESTS, split, session, stack))
