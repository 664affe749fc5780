"""/v1/search: the team's knowledge."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends
from worksite.common.bus import request
from worksite.common.messages import SearchResponse
from worksite.gateway.auth.access import may
from worksite.gateway.body import json_body, json_schema
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.queries import SearchQuery, SearchResults, search_results
from worksite.gateway.gateway import Gateway, GatewayOf

router = APIRouter(tags=["search"])


@router.post("/v1/search", operation_id="search", openapi_extra=json_schema(SearchQuery))
async def search(
    gateway: GatewayOf,
    caller: Annotated[Principal, Depends(may("search"))],
    query: Annotated[SearchQuery, Depends(json_body(SearchQuery))],
) -> SearchResults:
    """Passages that answer the query, best first, with the lines they stand on."""
    return await answered(gateway, caller, query)


async def answered(gateway: Gateway, caller: Principal, query: SearchQuery) -> SearchResults:
    """Ask the RAG engine in the name of the caller's tenant. Raises ServiceUnavailable, BusUnavailable."""
    answer = await request(gateway.bus, "rag", "search", query.request(caller.tenant), SearchResponse)
    return search_results(answer)
