"""The architect's view of the RAG engine. Every call raises ServiceUnavailable while the engine is away."""

from __future__ import annotations

from worksite.common.bus import Bus, request
from worksite.common.messages import SearchFilters, SearchRequest, SearchResponse, SearchResult

_MAX_QUERY_LENGTH = 2000
_BLUEPRINT_CHUNKS = 50
_PASSAGES = 50
"""Many, because the lists of a manifest are near every question about their blueprint and are not quoted."""


class Knowledge:
    """Searches on behalf of a tenant."""

    def __init__(self, bus: Bus) -> None:
        self._bus = bus

    async def blueprints(self, tenant: str, text: str) -> tuple[str, ...]:
        """Names of the blueprints that match a request, best first.

        Not reranked: what a request is matched to must not depend on how busy the machine is.
        """
        filters = SearchFilters(kind="blueprint")
        found = await self._search(tenant, text, _BLUEPRINT_CHUNKS, filters, rerank=False)
        return tuple(dict.fromkeys(result.name for result in found if result.name))

    async def passages(self, tenant: str, question: str) -> tuple[SearchResult, ...]:
        """Passages for a question, best first."""
        return await self._search(tenant, question, _PASSAGES, SearchFilters(blueprints=True))

    async def _search(
        self, tenant: str, text: str, top_k: int, filters: SearchFilters, *, rerank: bool = True
    ) -> tuple[SearchResult, ...]:
        query = SearchRequest(
            tenant=tenant, query=text[:_MAX_QUERY_LENGTH], top_k=top_k, filters=filters, rerank=rerank
        )
        return (await request(self._bus, "rag", "search", query, SearchResponse)).results
