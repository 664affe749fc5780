"""What MCP clients can do: each tool is one action of the HTTP interface, under the same policy and rate limit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from mcp_types import Tool as Description
from mcp_types import ToolAnnotations
from pydantic import BaseModel
from worksite.gateway import problems
from worksite.gateway.domain.artifacts import Rendered
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.queries import SearchQuery, SearchResults
from worksite.gateway.domain.tools import ArtifactCall, ArtifactPart, NewTaskCall, TaskCall, artifact_part
from worksite.gateway.domain.views import TaskView, task_view
from worksite.gateway.gateway import Gateway
from worksite.gateway.routes import artifacts, search, tasks

Takes = TypeVar("Takes", bound=BaseModel)


@dataclass(frozen=True)
class Tool(Generic[Takes]):
    """`does` raises what the route of the same action raises."""

    name: str
    action: str
    takes: type[Takes]
    gives: type[BaseModel]
    does: Callable[[Gateway, Principal, Takes], Awaitable[BaseModel]]
    says: str
    reads_only: bool = True

    @cached_property
    def description(self) -> Description:
        """As clients list it."""
        return Description(
            name=self.name,
            description=self.says,
            input_schema=self.takes.model_json_schema(),
            output_schema=self.gives.model_json_schema(mode="serialization"),
            annotations=ToolAnnotations(
                read_only_hint=self.reads_only, destructive_hint=False, open_world_hint=not self.reads_only
            ),
        )


async def _search(gateway: Gateway, caller: Principal, query: SearchQuery) -> SearchResults:
    return await search.answered(gateway, caller, query)


async def _submit(gateway: Gateway, caller: Principal, call: NewTaskCall) -> TaskView:
    return task_view(await tasks.accepted(gateway, caller, call, call.body(), call.idempotency_key))


async def _read(gateway: Gateway, caller: Principal, call: TaskCall) -> TaskView:
    return task_view(await tasks.find(gateway, caller, call.task_id))


async def _fetch(gateway: Gateway, caller: Principal, call: ArtifactCall) -> ArtifactPart:
    content = (await artifacts.fetchable(gateway, caller, call.task_id)).get(call.name)
    if content is None:
        raise problems.not_found("the task has no such artifact (yet): get_task names those it has")
    sha256 = artifacts.sha256(content)
    if isinstance(content, Rendered):
        return artifact_part(call, content.data, sha256)
    async with gateway.artifact_memory.take(content.size):
        return artifact_part(call, await gateway.artifacts.get(content), sha256)


_ALL: tuple[Tool[Any], ...] = (
    Tool(
        "search_knowledge",
        "search",
        SearchQuery,
        SearchResults,
        _search,
        "Search the team's knowledge base (documents, code, specifications) and get the passages that answer the "
        "query, best first, each with its file and lines to cite. Ask a question or give key words.",
    ),
    Tool(
        "submit_task",
        "submitTask",
        NewTaskCall,
        TaskView,
        _submit,
        "Submit a software request: it is designed, built in a git branch and proved by an independent validator. "
        "Returns at once with the task's id; follow it with get_task. Use an idempotency_key to repeat safely.",
        reads_only=False,
    ),
    Tool(
        "get_task",
        "readTask",
        TaskCall,
        TaskView,
        _read,
        "How far a task has come: status, verdict, the question it waits with, cost, and the artifacts that can be "
        "fetched. It has ended when status is completed, failed or cancelled; tasks take minutes.",
    ),
    Tool(
        "get_artifact",
        "readArtifact",
        ArtifactCall,
        ArtifactPart,
        _fetch,
        "Fetch what a task has made: its specification (spec.md), report (report.md), cost or branch. Large ones come "
        "in parts: go on with next_offset.",
    ),
)
TOOLS: Mapping[str, Tool[Any]] = {tool.name: tool for tool in _ALL}
