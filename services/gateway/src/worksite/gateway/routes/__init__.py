"""The HTTP interface, one file per noun."""

from __future__ import annotations

from fastapi import APIRouter
from worksite.gateway import problems
from worksite.gateway.routes import (
    approvals,
    artifacts,
    dead_letters,
    events,
    inputs,
    knowledge,
    mcp,
    routing,
    search,
    stats,
    tasks,
    tokens,
    uploads,
)

_PROBLEM = {
    "description": "A problem document (RFC 9457)",
    "content": {problems.MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/ProblemDocument"}}},
}


def api() -> APIRouter:
    """Everything below /v1. Each router spells its paths out, because the metrics name routes by them."""
    router = APIRouter(responses={"default": _PROBLEM})
    for noun in (
        tasks,
        inputs,
        approvals,
        events,
        artifacts,
        uploads,
        knowledge,
        search,
        routing,
        stats,
        dead_letters,
        mcp,
    ):
        router.include_router(noun.router)
    return router


def issuer() -> APIRouter:
    """The embedded issuer's endpoints, where their standards put them."""
    router = APIRouter(responses={"default": _PROBLEM})
    router.include_router(tokens.router)
    return router
