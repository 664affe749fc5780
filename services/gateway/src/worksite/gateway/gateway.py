"""Everything the routes work with, built once in `main`."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus
from worksite.common.policy import Policies
from worksite.gateway.approvals import Approvals
from worksite.gateway.audit import Audit
from worksite.gateway.auth.authenticator import Authenticator
from worksite.gateway.auth.issuer import Issuer
from worksite.gateway.dead_letters import DeadLetters
from worksite.gateway.inputs import Inputs
from worksite.gateway.intake import Intake
from worksite.gateway.knowledge import Knowledge
from worksite.gateway.memory import ByteBudget
from worksite.gateway.places import Places
from worksite.gateway.rate_limits import RateLimiter
from worksite.gateway.room import Room
from worksite.gateway.tasks import Tasks
from worksite.gateway.uploads import Uploads


@dataclass(frozen=True)
class Gateway:
    """The gateway's parts."""

    bus: Bus
    authenticator: Authenticator
    rate_limiter: RateLimiter
    policies: Policies
    audit: Audit
    tasks: Tasks
    intake: Intake
    inputs: Inputs
    approvals: Approvals
    uploads: Uploads
    artifacts: Artifacts
    artifact_memory: ByteBudget
    knowledge: Knowledge
    knowledge_places: Places
    dead_letters: DeadLetters
    issuer: Issuer | None
    room: Room
    stop: asyncio.Event


async def _of(request: Request) -> Gateway:
    """A coroutine, like every dependency here: FastAPI hands plain functions to a thread, which is dear."""
    return request.app.state.gateway


GatewayOf = Annotated[Gateway, Depends(_of)]
"""How a route gets at them."""
