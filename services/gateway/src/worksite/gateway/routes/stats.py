"""/v1/stats: what a tenant's tasks came to."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from worksite.gateway.auth.access import may
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.stats import Stats, stats
from worksite.gateway.gateway import GatewayOf
from worksite.gateway.routes.tasks import Moment

router = APIRouter(prefix="/v1/stats", tags=["stats"])


@router.get("", operation_id="readStats")
async def read(
    gateway: GatewayOf,
    caller: Annotated[Principal, Depends(may("readStats"))],
    since: Annotated[Moment | None, Query(description="tasks that were not submitted earlier than that")] = None,
) -> Stats:
    """Rounds, reasons to stop, money and tokens, summed over the tenant's tasks that somebody has taken up."""
    states, complete = await gateway.tasks.states(caller.tenant, since)
    return stats(states, since, complete=complete)
