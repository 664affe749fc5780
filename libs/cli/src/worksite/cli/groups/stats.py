"""`worksite stats`: what a tenant's tasks came to."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from worksite.cli import commands_stats
from worksite.cli.client.access import DEFAULT_TENANT
from worksite.cli.invocation import finished, session_of
from worksite.cli.options import STATE, StateDir, Tenant

_AGO = re.compile(r"(\d{1,4})([hd])")
_UNITS = {"h": timedelta(hours=1), "d": timedelta(days=1)}


def stats(
    since: Annotated[
        str | None, typer.Option("--since", help="tasks submitted since then: 12h, 7d, 2026-11-01", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="print one JSON object")] = False,
    state: StateDir = STATE,
    tenant: Tenant = DEFAULT_TENANT,
) -> None:
    """Show what tasks came to: rounds, cost per PASS, why they stopped, by route, engine, tier and model."""
    moment = _moment(since, datetime.now(UTC)) if since else None
    finished(commands_stats.show(moment, as_json, session_of(state, tenant)))


def _moment(given: str, now: datetime) -> datetime:
    """Raises BadParameter."""
    if ago := _AGO.fullmatch(given):
        return now - int(ago[1]) * _UNITS[ago[2]]
    try:
        moment = datetime.fromisoformat(given)
    except ValueError as error:
        raise typer.BadParameter(f"{given!r} is no time: write 12h, 7d, 2026-11-01 or 2026-11-01T08:00Z") from error
    return moment if moment.tzinfo else moment.astimezone()
