"""Keys and passwords that are replaced in a real Vault while services work: none is restarted, none stops working."""

import asyncio
import os
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from secrets import token_urlsafe

import httpx
import pytest
import pytest_asyncio
from joserfc import jwt
from joserfc.jwk import OctKey
from pydantic import SecretStr
from worksite.cli.stack import nats_config
from worksite.common import subjects
from worksite.common.bus import Bus, BusSettings, Envelope, announce, answer, provision
from worksite.common.messages import DesignSpec, SearchRequest, SearchResponse
from worksite.common.processes import free_port
from worksite.common.testing import examples
from worksite.common.testing.nats import NatsServer, start_nats
from worksite.common.testing.vaults import address, app_role, store, vault

pytestmark = [pytest.mark.proof, pytest.mark.timeout(300)]
ROOT = Path(__file__).parents[2]
PATIENCE_SECONDS = 90
FIRST, SECOND = token_urlsafe(48), token_urlsafe(48)


@dataclass
class Service:
    """A process of a service that has its secrets from Vault."""

    process: subprocess.Popen[bytes]
    log: Path

    def says(self, text: str) -> bool:
        assert self.process.poll() is None, self.log.read_text()[-3000:]
        return text in self.log.read_text()


@dataclass
class Site:
    """A bus, a Vault, and the passwords that the bus takes."""

    folder: Path
    bao: httpx.Client
    server: NatsServer
    passwords: dict[str, str]
    services: list[Service] = field(default_factory=list)

    def start(self, service: str, **given: str) -> Service:
        role_id, secret_id = app_role(self.bao, f"worksite/{service}")
        environment = {
            "PATH": os.environ["PATH"],
            "NATS_URL": self.server.url,
            "NATS_USER": service,
            "SECRETS_SOURCE": "vault",
            "SECRETS_POLL_SECONDS": "0.1",
            "VAULT_ADDR": address(self.bao),
            "VAULT_ROLE": role_id,
            "VAULT_SECRET_ID": secret_id,
            **given,
        }
        log = self.folder / f"{service}.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", f"worksite.{service}.main"]
            process = subprocess.Popen(command, env=environment, cwd=ROOT, stdout=output, stderr=output)
        self.services.append(started := Service(process, log))
        return started

    def want(self, user: str, password: str) -> None:
        """The bus takes this password from now on, and the former one no more."""
        self.passwords[user] = password
        self.server.config = nats_config.authorization(self.passwords, "provision")
        self.server.reload()

    def who(self, user: str) -> BusSettings:
        return BusSettings(self.server.url, user, user, SecretStr(self.passwords[user]))


@pytest_asyncio.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    passwords = {user: f"first-password-of-{user}" for user in (*subjects.SERVICES, "provision")}
    for name in ("bao", "nats"):
        (tmp_path / name).mkdir()
    with (
        vault(tmp_path / "bao") as bao,
        start_nats(tmp_path / "nats", nats_config.authorization(passwords, "provision")) as server,
    ):
        site = Site(tmp_path, bao, server, passwords)
        bus = await Bus.connect(site.who("provision"))
        await provision(bus, 1 << 30)
        await bus.close()
        yield site
        for service in site.services:
            service.process.terminate()
        for service in site.services:
            service.process.wait(60)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.05)


@pytest.mark.asyncio
async def test_a_gateways_signing_key_and_password_are_replaced_in_vault_while_it_serves(site: Site):
    store(site.bao, "worksite/gateway", jwt_secret_key=FIRST, nats_password=site.passwords["gateway"])
    port = free_port()
    gateway = site.start("gateway", DASHBOARD_PORT=str(port), STATE_DIR=str(site.folder / "gateway"))
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=20) as client:

        def submitted(key: str) -> int:
            headers = {"Authorization": f"Bearer {token(key)}"}
            try:
                return client.post("/v1/tasks", json={"request": "x"}, headers=headers).status_code
            except httpx.TransportError:
                return 0

        def takes(key: str) -> Callable[[], bool]:
            return lambda: gateway.says("") and submitted(key) == 202

        await until(takes(FIRST))
        assert submitted(SECOND) == 401

        store(site.bao, "worksite/gateway", jwt_secret_key=SECOND, nats_password=site.passwords["gateway"])
        await until(takes(SECOND))
        assert submitted(FIRST) == 202  # its tokens have not ended

        store(site.bao, "worksite/gateway", jwt_secret_key="changeme" * 5, nats_password="second-password")
        await until(lambda: gateway.says("the former secrets stay in use: JWT_SECRET_KEY"))
        assert submitted(SECOND) == 202
        assert submitted("changeme" * 5) == 401

        store(site.bao, "worksite/gateway", jwt_secret_key=SECOND, nats_password="second-password")
        await until(lambda: gateway.says("changed without a restart: NATS_PASSWORD"))
        site.want("gateway", "second-password")
        await until(lambda: gateway.says("") and connections(site, "gateway") > 1)
        await until(takes(SECOND))
    assert not any(secret in gateway.log.read_text() for secret in (FIRST, SECOND, "second-password", "changeme"))


def connections(site: Site, user: str) -> int:
    """How often that user has come, those that are gone included."""
    found = site.server.monitored("connz?auth=true&state=any")["connections"]
    return sum(connection.get("authorized_user") == user for connection in found)


def token(key: str) -> str:
    now = int(time.time())
    claims = {"iss": "worksite", "aud": "worksite", "sub": "ada", "jti": f"{time.perf_counter_ns()}", "tenant": "acme"}
    claims |= {"iat": now, "nbf": now, "exp": now + 600, "roles": ["developer"]}
    return jwt.encode({"alg": "HS256"}, claims, OctKey.import_key(key))


@contextmanager
def provider() -> Iterator[tuple[str, list[str]]]:
    """A model's server that takes no key, and the keys that it was shown."""
    shown: list[str] = []

    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            shown.append(self.headers["authorization"])
            body = b'{"type": "error", "error": {"type": "authentication_error", "message": "no"}}'
            self.send_response(401)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its name there
            """Quietly."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Refusing) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", shown
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.asyncio
async def test_an_agents_key_of_the_model_is_replaced_in_vault_between_two_steps(site: Site):
    def keep(key: str) -> None:
        store(site.bao, "worksite/architect", anthropic_api_key=key, nats_password=site.passwords["architect"])

    keep("sk-first")
    admin, rag = await Bus.connect(site.who("admin")), await Bus.connect(site.who("rag"))
    micro = await announce(rag, "rag", "0.1.0")

    async def nothing(_: SearchRequest) -> SearchResponse:
        return SearchResponse(results=(), reranked=False, timings_ms={})

    await answer(micro, "search", SearchRequest, nothing)

    async def ask(task: str) -> None:
        command = next(each for each in examples.commands() if isinstance(each, DesignSpec))
        command = command.model_copy(update={"task": task})
        envelope = Envelope(command.ce_type(), "admin", command.tenant, task)
        await admin.publish(subjects.work_subject("architect", command.tenant), command, envelope)

    try:
        with provider() as (url, shown):
            architect = site.start("architect", ANTHROPIC_BASE_URL=url)
            await ask("1" * 32)
            await until(lambda: architect.says("") and bool(shown))
            keep("sk-second")
            await until(lambda: architect.says("changed without a restart: ANTHROPIC_API_KEY"))
            before = len(shown)
            await ask("2" * 32)
            await until(lambda: architect.says("") and len(shown) > before)
        assert (shown[0], shown[-1]) == ("Bearer sk-first", "Bearer sk-second")
        assert "sk-" not in architect.log.read_text()
    finally:
        await micro.stop()
        for bus in (rag, admin):
            await bus.close()
