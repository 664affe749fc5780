"""The ASGI application."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import FastAPI
from worksite.common.health import Health
from worksite.gateway import mcp_server, openapi, problems, routes
from worksite.gateway.body import BodyLimit
from worksite.gateway.gateway import Gateway
from worksite.gateway.middleware import Observed, Parting, WellFormed
from worksite.gateway.rate_limits import RateLimitFields
from worksite.gateway.routes import knowledge, uploads
from worksite.gateway.routes.mcp import Mcp
from worksite.gateway.settings import GatewaySettings


def create_app(gateway: Gateway, health: Health, settings: GatewaySettings) -> FastAPI:
    """Routes, errors and middleware around the gateway's parts. MCP is served while the application's lifespan runs."""
    sessions = mcp_server.session_manager(gateway, version("worksite-gateway"), settings.max_body_bytes)
    app = openapi.described_app(lambda _: sessions.run())
    app.state.gateway = gateway
    app.state.mcp = Mcp(sessions, frozenset(settings.mcp_allowed_origins.split()), settings.authorization_server)
    app.include_router(routes.api())
    if gateway.issuer:
        app.include_router(routes.issuer())
    app.router.routes.extend(health.routes())
    problems.install(app)
    own_limits = {uploads.PATH: settings.max_upload_bytes, knowledge.PATH: settings.max_knowledge_bytes}
    app.add_middleware(BodyLimit, limit=settings.max_body_bytes, own=own_limits)
    app.add_middleware(WellFormed)
    app.add_middleware(Observed)
    app.add_middleware(RateLimitFields)
    app.add_middleware(Parting, stop=gateway.stop)  # added last: outermost
    return app
