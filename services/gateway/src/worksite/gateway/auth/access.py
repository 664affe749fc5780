"""Every route's door: who is it, and do the policies let them?"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Annotated

from fastapi import Depends, Request
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from worksite.common.errors import BusUnavailable
from worksite.common.policy import Entity
from worksite.gateway import problems
from worksite.gateway.auth.authenticator import RevokedToken
from worksite.gateway.auth.errors import InvalidToken
from worksite.gateway.domain.principal import Principal
from worksite.gateway.domain.views import is_task_id
from worksite.gateway.gateway import Gateway, GatewayOf

log = logging.getLogger(__name__)

REALM = 'Bearer realm="worksite"'
_bearer = HTTPBearer(auto_error=False, bearerFormat="JWT", description="a token of a trusted issuer")
Bearer = Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]


def may(action: str) -> Callable[..., Awaitable[Principal]]:
    """A dependency that lets through whoever may do `action` on the task in the path, or, without one, in the tenant.

    The resource is always one of the principal's own tenant: ids are looked up below it, so another tenant's task is
    as unknown as one that never was.
    """

    async def check(request: Request, gateway: GatewayOf, bearer: Bearer) -> Principal:
        principal = await authenticated(request, gateway, bearer)
        gateway.rate_limiter.admit(request, principal, action)
        task = request.path_params.get("task_id")
        if task is not None and not is_task_id(task):
            raise problems.not_found()
        await authorized(gateway, principal, action, task)
        return principal

    return check


async def authenticated(
    request: Request, gateway: Gateway, bearer: HTTPAuthorizationCredentials | None, realm: str = REALM
) -> Principal:
    """Whose token it is; `realm` is what a refusal's challenge begins with. Raises a 401 or 429 problem."""
    if bearer is None:
        gateway.rate_limiter.admit_stranger(request)
        raise problems.unauthenticated("send a token: Authorization: Bearer …", realm)
    try:
        return await gateway.authenticator.authenticate(bearer.credentials)
    except InvalidToken as error:
        gateway.rate_limiter.admit_stranger(request)
        log.info("token refused: %s", error)
        if isinstance(error, RevokedToken):
            await gateway.audit.revoked(error.principal)
        challenge = f'{realm}, error="invalid_token", error_description="{error}"'
        raise problems.unauthenticated(f"the token is refused: {error}", challenge) from error


async def authorized(gateway: Gateway, principal: Principal, action: str, task: str | None) -> None:
    """Raises a 403 problem, which is on record then, and BusUnavailable."""
    attributes = {"tenant": principal.tenant}
    resource = Entity("Task", task, attributes) if task else Entity("Tenant", principal.tenant, attributes)
    roles = tuple(Entity("Role", role) for role in sorted(principal.roles))
    decision = gateway.policy.decide(Entity("Principal", principal.subject, attributes, roles), action, resource)
    if not decision.allow:
        reason = "; ".join((*decision.policy_ids, *decision.errors)) or "no policy permits it"
        await gateway.audit.denied(principal, action, f"{resource.type}::{resource.id}", reason)
        raise problems.forbidden(action)
    if not gateway.bus.reachable:
        raise BusUnavailable("not connected to NATS")
