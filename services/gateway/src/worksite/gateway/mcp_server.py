"""The gateway's tools as the Model Context Protocol serves them: no session is kept, any replica can answer."""

from __future__ import annotations

import json
import logging
from typing import Any

from mcp.server.lowlevel import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp.shared.exceptions import MCPError
from mcp_types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
)
from pydantic import BaseModel, ValidationError
from starlette.requests import Request
from worksite.common.errors import WorksiteError
from worksite.gateway import problems
from worksite.gateway.auth.access import authorized
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.submission import NewTask
from worksite.gateway.domain.tools import TaskCall
from worksite.gateway.gateway import Gateway
from worksite.gateway.problems import ProblemError
from worksite.gateway.tools import TOOLS, Tool

log = logging.getLogger(__name__)

_INSTRUCTIONS = (
    "Worksite turns a software request into a validated git branch. Search the team's knowledge before you answer "
    "questions about its code, documents or conventions, and cite the places. Submit tasks only when asked to."
)


def session_manager(gateway: Gateway, version: str, max_body_bytes: int) -> StreamableHTTPSessionManager:
    """What answers `POST /mcp`, once somebody is at the door whose token is good; `run()` it while requests come."""

    async def listed(_: Any, __: PaginatedRequestParams | None) -> ListToolsResult:
        return ListToolsResult(tools=[tool.description for tool in TOOLS.values()])

    async def called(context: Any, params: CallToolRequestParams) -> CallToolResult:
        tool = TOOLS.get(params.name)
        if tool is None:
            raise MCPError(INVALID_PARAMS, f"there is no such tool; there are {', '.join(TOOLS)}")
        return await _result(gateway, context.request, tool, params.arguments or {})

    logging.getLogger("mcp.server").setLevel(logging.WARNING)  # it logs a line for every request's end
    server = Server(
        "worksite",
        version=version,
        instructions=_INSTRUCTIONS,
        on_list_tools=listed,
        on_call_tool=called,
        get_tool_input_schema=lambda name: TOOLS[name].description.input_schema if name in TOOLS else None,
    )
    return StreamableHTTPSessionManager(
        server, json_response=True, stateless=True, max_request_body_size=max_body_bytes
    )


async def _result(gateway: Gateway, request: Request, tool: Tool[Any], arguments: dict[str, Any]) -> CallToolResult:
    try:
        given = await _done(gateway, request, tool, arguments)
    except (ProblemError, WorksiteError) as error:
        log.info("%s: %s", tool.name, error)
        return _refusal(problems.of(error))
    except Exception:  # the boundary: the SDK would tell the client what it says
        log.exception("%s failed", tool.name)
        return _refusal(problems.internal())
    structured = given.model_dump(mode="json")
    text = json.dumps(structured, ensure_ascii=False)
    return CallToolResult(content=[TextContent(text=text)], structured_content=structured)


async def _done(gateway: Gateway, request: Request, tool: Tool[Any], arguments: dict[str, Any]) -> BaseModel:
    """Through the doors of the HTTP route of the same action, as whoever sent the message."""
    caller: Principal = request.state.caller
    gateway.rate_limiter.admit(request, caller, tool.action)
    try:
        call = tool.takes.model_validate_json(json.dumps(arguments), strict=True)
    except ValidationError as error:
        raise problems.invalid(error) from error
    wanted = call.options if isinstance(call, NewTask) else None
    await authorized(gateway, request, caller, tool.action, _named(call), wanted)
    return await tool.does(gateway, caller, call)


def _named(call: BaseModel) -> dict[str, str]:
    """What a path would name."""
    return call.model_dump(include={"task_id", "name"}) if isinstance(call, TaskCall) else {}


def _refusal(problem: ProblemError) -> CallToolResult:
    """For a model to read and act on; the input is not repeated."""
    fields = "".join(f"\n- {error.field or 'arguments'}: {error.message}" for error in problem.errors)
    said = f"{problem.title}: {problem.detail}{fields}"
    return CallToolResult(content=[TextContent(text=said)], is_error=True)
