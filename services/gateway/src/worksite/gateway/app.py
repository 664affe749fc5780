"""The ASGI application."""

from __future__ import annotations

from fastapi import FastAPI
from worksite.common.health import Health
from worksite.gateway import openapi, problems, routes
from worksite.gateway.body import BodyLimit
from worksite.gateway.gateway import Gateway
from worksite.gateway.middleware import Observed


def create_app(gateway: Gateway, health: Health, max_body_bytes: int) -> FastAPI:
    """Routes, errors and middleware around the gateway's parts."""
    app = openapi.described_app()
    app.state.gateway = gateway
    app.include_router(routes.api())
    if gateway.issuer:
        app.include_router(routes.issuer())
    app.router.routes.extend(health.routes())
    problems.install(app)
    app.add_middleware(BodyLimit, limit=max_body_bytes)
    app.add_middleware(Observed)  # added last: outermost
    return app
