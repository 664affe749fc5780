"""/v1/route: which way a request would take."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from worksite.common.bus import request
from worksite.common.messages import RouteExplained
from worksite.gateway.auth.access import may
from worksite.gateway.body import json_body, json_schema
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.routing import RouteExplanation, RouteQuery, explanation
from worksite.gateway.gateway import GatewayOf

router = APIRouter(prefix="/v1/route", tags=["routing"])


@router.post("/explain", operation_id="explainRoute", openapi_extra=json_schema(RouteQuery))
async def explain(
    gateway: GatewayOf,
    caller: Annotated[Principal, Depends(may("explainRoute"))],
    query: Annotated[RouteQuery, Depends(json_body(RouteQuery))],
) -> RouteExplanation:
    """The route that a request would take, and what each stage of the cascade makes of it. Costs nothing."""
    question = query.question(caller.tenant)
    return explanation(await request(gateway.bus, "admin", "explain", question, RouteExplained))
