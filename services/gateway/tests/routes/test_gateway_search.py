"""/v1/search, with somebody who plays the RAG engine."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import httpx
import pytest
import pytest_asyncio
from worksite.common.bus import Bus, announce, answer
from worksite.common.errors import Permanent, Retryable
from worksite.common.messages import Message, Scores, SearchFilters, SearchRequest, SearchResponse, SearchResult
from worksite.common.messages.search import LANGUAGES

HIT = SearchResult(
    path="docs/auth.md",
    start_line=3,
    end_line=9,
    text="Tokens rotate.",
    score=0.9,
    scores=Scores(dense=0.8, sparse=0.7, rerank=0.9),
    kind="document",
    heading="Auth",
)


class Rag:
    """Answers one hit, or fails as told; remembers what it was asked."""

    def __init__(self) -> None:
        self.asked: list[SearchRequest] = []
        self.error: Exception | None = None

    async def search(self, request: SearchRequest) -> Message:
        self.asked.append(request)
        if self.error:
            raise self.error
        return SearchResponse(results=(HIT,), reranked=True, timings_ms={"total": 1.5})


@pytest_asyncio.fixture
async def rag(bus: Bus) -> AsyncIterator[Rag]:
    fake = Rag()
    service = await announce(bus, "rag", "0.0.1")
    await answer(service, "search", SearchRequest, fake.search)
    yield fake
    await service.stop()


@pytest.mark.asyncio
async def test_results_name_the_lines_they_stand_on(client: httpx.AsyncClient, rag: Rag) -> None:
    answer = await client.post("/v1/search", json={"query": "rotate tokens"})

    assert answer.json() == {
        "results": [
            {
                "path": "docs/auth.md",
                "start_line": 3,
                "end_line": 9,
                "text": "Tokens rotate.",
                "score": 0.9,
                "scores": {"dense": 0.8, "sparse": 0.7, "rerank": 0.9},
                "citation": "docs/auth.md:3-9",
                "language": None,
                "updated_at": None,
            }
        ],
        "reranked": True,
        "timings_ms": {"total": 1.5},
        "rerank_skipped": None,
        "cached": False,
    }


@pytest.mark.asyncio
async def test_the_question_is_asked_in_the_name_of_the_tokens_tenant(client: httpx.AsyncClient, rag: Rag) -> None:
    body = {
        "query": "x",
        "top_k": 3,
        "rerank": False,
        "mode": "dense",
        "filters": {
            "path_prefix": "docs/",
            "tags": ["auth", "v2"],
            "language": "python",
            "since": "2026-05-01T00:00:00Z",
        },
        "rrf": {"k": 10, "dense": 2.0, "sparse": 1.0},
    }

    assert (await client.post("/v1/search", json=body)).status_code == 200

    [asked] = rag.asked
    assert asked.tenant == "acme"
    assert asked.filters == SearchFilters(
        path_prefix="docs/", tags=("auth", "v2"), language="python", since=datetime(2026, 5, 1, tzinfo=UTC)
    )
    assert asked.model_dump(include={"query", "top_k", "rerank", "mode", "rrf"}) == {
        name: value for name, value in body.items() if name != "filters"
    }


@pytest.mark.asyncio
@pytest.mark.parametrize("filters", [{"path_prefix": "x" * 401}, {"tags": ["x" * 51]}, {"tags": ["x"] * 21}])
async def test_a_filter_that_can_match_nothing_is_refused(
    client: httpx.AsyncClient, rag: Rag, filters: dict[str, object]
) -> None:
    answer = await client.post("/v1/search", json={"query": "x", "filters": filters})

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["field"].startswith("filters")
    assert rag.asked == []


@pytest.mark.asyncio
async def test_without_the_engine_search_says_so(client: httpx.AsyncClient) -> None:
    answer = await client.post("/v1/search", json={"query": "x"})

    assert (answer.status_code, answer.json()["type"]) == (503, "urn:worksite:problem:service-unavailable")
    assert int(answer.headers["retry-after"]) > 0


@pytest.mark.asyncio
async def test_an_engine_that_is_busy_is_worth_another_try_and_one_that_refuses_is_not(
    client: httpx.AsyncClient, rag: Rag
) -> None:
    rag.error = Retryable("indexing")
    busy = await client.post("/v1/search", json={"query": "x"})
    rag.error = Permanent("no such index: /var/lib/secret")
    refused = await client.post("/v1/search", json={"query": "x"})

    assert (busy.status_code, refused.status_code) == (503, 500)
    assert "secret" not in refused.text


@pytest.mark.asyncio
async def test_an_unknown_language_is_refused_with_those_that_there_are(client: httpx.AsyncClient, rag: Rag) -> None:
    answer = await client.post("/v1/search", json={"query": "x", "filters": {"language": "Python"}})

    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "filters"
    assert all(language in error["message"] for language in LANGUAGES)
    assert rag.asked == []


@pytest.mark.asyncio
async def test_every_language_that_there_is_is_taken(client: httpx.AsyncClient, rag: Rag) -> None:
    for language in LANGUAGES:
        answer = await client.post("/v1/search", json={"query": "x", "filters": {"language": language}})
        assert answer.status_code == 200, language

    assert [request.filters.language for request in rag.asked] == list(LANGUAGES)
