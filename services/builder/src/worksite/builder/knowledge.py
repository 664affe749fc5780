"""The builder's view of the RAG engine."""

from __future__ import annotations

from worksite.common.bus import Bus, request
from worksite.common.errors import Permanent
from worksite.common.llm.agents import ToolFailed
from worksite.common.messages import SearchFilters, SearchRequest, SearchResponse

_MAX_QUERY, _MAX_PASSAGE, _PASSAGES = 2000, 1500, 6


async def search_knowledge(bus: Bus, tenant: str, query: str) -> str:
    """Passages with their places, best first. Raises ServiceUnavailable while the engine is away, ToolFailed where it
    refuses the query."""
    filters = SearchFilters(blueprints=True)
    asked = SearchRequest(tenant=tenant, query=query[:_MAX_QUERY], top_k=_PASSAGES, filters=filters)
    try:
        found = await request(bus, "rag", "search", asked, SearchResponse)
    except Permanent as error:
        raise ToolFailed(str(error)) from error
    return "\n\n".join(f"{r.path}:{r.start_line}-{r.end_line}\n{r.text[:_MAX_PASSAGE]}" for r in found.results)
