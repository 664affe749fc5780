"""The gateway: `python -m worksite.gateway.main`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator

import httpx
from pydantic import SecretStr
from worksite.common import service
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, vigil
from worksite.common.health import http_server
from worksite.common.secrets.rotation import Secrets
from worksite.common.settings import SettingsError
from worksite.gateway import audit, fleet, policies, room, uploads
from worksite.gateway.app import create_app
from worksite.gateway.approvals import Approvals
from worksite.gateway.auth import clients, keys
from worksite.gateway.auth.authenticator import Authenticator
from worksite.gateway.auth.issuer import Issuer
from worksite.gateway.auth.jwks import Jwks, fetcher
from worksite.gateway.auth.revocations import Revocations
from worksite.gateway.auth.rings import KeyRing
from worksite.gateway.auth.verifier import Verifier
from worksite.gateway.dead_letters import DeadLetters
from worksite.gateway.gateway import Gateway
from worksite.gateway.inputs import Inputs
from worksite.gateway.intake import Intake
from worksite.gateway.knowledge import Knowledge
from worksite.gateway.memory import TOTAL_BYTES, ByteBudget
from worksite.gateway.places import Places
from worksite.gateway.rate_limits import RateLimiter
from worksite.gateway.settings import GatewaySettings
from worksite.gateway.tasks import Tasks
from worksite.gateway.uploads import Uploads

log = logging.getLogger(__name__)


def main() -> None:
    service.run("gateway", GatewaySettings, _main, serves_health_itself=True)


async def _main(settings: GatewaySettings, running: service.Running) -> None:
    async with (
        vigil.kept(running.bus, settings.bus_patience_seconds),
        built(settings, running.bus, running.stop, running.secrets) as gateway,
    ):
        app = create_app(gateway, running.health, settings)
        async with http_server(app, settings.bind_host, settings.dashboard_port) as port:
            log.info("listening on port %d", port)
            running.ready.set()
            await running.stop.wait()
            await asyncio.sleep(settings.drain_seconds)  # not ready any more, and parting with each client: `Parting`


@contextlib.asynccontextmanager
async def built(
    settings: GatewaySettings, bus: Bus, stop: asyncio.Event, secrets: Secrets | None = None
) -> AsyncGenerator[Gateway]:
    """The gateway's parts, wired. Raises SettingsError for policies or a folder that cannot be used."""
    limiter = RateLimiter(settings.rate_limits())
    async with (
        httpx.AsyncClient(timeout=5, trust_env=False) as http,
        audit.recording(bus) as trail,
        fleet.exchanging(bus, limiter.meters, settings.rate_exchange_seconds),
        room.watched(bus) as stores,
        policies.followed(settings.policy_dir) as rules,
    ):
        tasks, artifacts = Tasks(bus), Artifacts(bus)
        trusted = _keys(settings, http)
        issuer = _issuer(settings, trusted)
        if secrets:
            _follow(secrets, trusted, issuer)
        verifier = Verifier(trusted, settings.jwt_issuer, settings.jwt_audience)
        yield Gateway(
            bus=bus,
            authenticator=Authenticator(verifier, Revocations(bus)),
            rate_limiter=limiter,
            policies=rules,
            audit=trail,
            tasks=tasks,
            intake=Intake(bus, tasks),
            inputs=Inputs(bus),
            approvals=Approvals(bus),
            uploads=await _uploads(settings, bus, artifacts),
            artifacts=artifacts,
            artifact_memory=ByteBudget(),
            knowledge=Knowledge(bus),
            knowledge_places=Places(TOTAL_BYTES // settings.max_knowledge_bytes),
            dead_letters=DeadLetters(bus, trail),
            issuer=issuer,
            room=stores,
            stop=stop,
        )


async def _uploads(settings: GatewaySettings, bus: Bus, artifacts: Artifacts) -> Uploads:
    try:
        folder = await asyncio.to_thread(uploads.emptied, settings.state_dir / "uploads")
    except OSError as error:
        raise SettingsError(f"STATE_DIR: {error}") from error
    places = Places(settings.max_concurrent_uploads)
    return Uploads(bus, artifacts, folder, places, settings.max_upload_bytes_per_tenant)


def _keys(settings: GatewaySettings, http: httpx.AsyncClient) -> keys.Keys:
    secret, own, url = _text(settings.jwt_secret_key), _text(settings.issuer_key), settings.jwt_jwks_url
    return keys.Keys(
        secret=KeyRing(keys.shared_secret(secret)) if secret else None,
        own=KeyRing(keys.signing_key(own)) if own else None,
        jwks=Jwks(fetcher(http, url)) if url else None,
    )


def _issuer(settings: GatewaySettings, trusted: keys.Keys) -> Issuer | None:
    if trusted.own is None:
        return None
    known = clients.parse(_text(settings.issuer_clients) or "[]")
    return Issuer(trusted.own, known, settings.jwt_issuer, settings.jwt_audience)


def _follow(secrets: Secrets, trusted: keys.Keys, issuer: Issuer | None) -> None:
    """What verifies, signs and signs in from now on; the settings have checked the texts."""

    def renew_shared(secret: SecretStr) -> None:
        if trusted.secret:
            trusted.secret.renew(keys.shared_secret(secret.get_secret_value()))

    def renew_own(secret: SecretStr) -> None:
        if trusted.own:
            trusted.own.renew(keys.signing_key(secret.get_secret_value()))

    def renew_clients(secret: SecretStr) -> None:
        if issuer:
            issuer.clients = clients.parse(secret.get_secret_value())

    secrets.on_change("jwt_secret_key", renew_shared)
    secrets.on_change("issuer_key", renew_own)
    secrets.on_change("issuer_clients", renew_clients)


def _text(secret: SecretStr | None) -> str | None:
    return secret.get_secret_value() if secret else None


if __name__ == "__main__":
    main()
