"""Secrets that change while somebody uses them."""

import asyncio
import logging
from types import SimpleNamespace

import pytest
from prometheus_client import REGISTRY
from pydantic import Field, SecretStr, field_validator
from worksite.common.bus import Bus, BusSettings
from worksite.common.llm.settings import ModelSettings
from worksite.common.llm.wiring import model_calls
from worksite.common.secrets.errors import SecretsUnavailable
from worksite.common.secrets.rotation import Secrets, Watch
from worksite.common.settings import ServiceSettings, load
from worksite.common.testing.nats import start_nats


class Some(ServiceSettings):
    shared: SecretStr | None = Field(default=None)

    @field_validator("shared")
    @classmethod
    def _long(cls, value: SecretStr | None) -> SecretStr | None:
        if value and len(value.get_secret_value()) < 8:
            raise ValueError("too short")
        return value


@pytest.fixture
def files(tmp_path, monkeypatch):
    """SECRETS_DIR, with what to write into it."""
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))

    def write(**secrets: str) -> None:
        for name, value in secrets.items():
            (tmp_path / f".{name}").write_text(value)
            (tmp_path / f".{name}").replace(tmp_path / name)  # as Kubernetes and Vault's agent do

    write(nats_password="first", shared="first-shared")
    return write


def watched(ttl_seconds=60.0):
    settings = load(Some)
    now = SimpleNamespace(seconds=0.0)
    secrets = Secrets(settings)
    return settings, secrets, Watch(secrets, lambda: load(Some), ttl_seconds, lambda: now.seconds), now


@pytest.mark.asyncio
async def test_a_file_that_is_rewritten_is_in_use_after_the_next_look(files):
    settings, secrets, watch, _ = watched()
    told = []
    secrets.on_change("shared", told.append)
    files(shared="second-shared")
    await watch.look()
    await watch.look()
    assert secrets.latest(settings).shared == SecretStr("second-shared")
    assert secrets.latest(settings).nats_password == SecretStr("first")
    assert told == [SecretStr("second-shared")]


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("worse", "said"), [("weak", "SHARED: Value error, too short"), (None, "SHARED: not set any more")]
)
async def test_a_secret_that_would_not_start_is_refused_and_the_former_kept(files, tmp_path, caplog, worse, said):
    settings, secrets, watch, now = watched()
    now.seconds = 7
    files(nats_password="second")
    if worse:
        files(shared=worse)
    else:
        (tmp_path / "shared").unlink()
    await watch.look()
    await watch.look()
    assert secrets.latest(settings).shared == SecretStr("first-shared")
    assert secrets.latest(settings).nats_password == SecretStr("first")
    assert watch.age_seconds() == 7
    (told,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert said in told
    assert "weak" not in told


@pytest.mark.asyncio
async def test_a_source_that_is_away_shows_only_after_twice_the_time_to_live_and_is_forgiven(files):
    settings = load(Some)
    now, away = SimpleNamespace(seconds=0.0), [True]

    def read() -> Some:
        if away[0]:
            raise SecretsUnavailable("Vault does not answer")
        return load(Some)

    secrets = Secrets(settings)
    watch = Watch(secrets, read, 60, lambda: now.seconds)
    now.seconds = 120
    await watch.look()
    assert watch.ready() is None
    now.seconds = 121
    assert watch.ready() == "not seen in their source for 121 s: Vault does not answer"
    assert secrets.latest(settings).shared == SecretStr("first-shared")
    away[0] = False
    await watch.look()
    assert (watch.ready(), watch.age_seconds()) == (None, 0)


@pytest.mark.asyncio
async def test_the_watch_looks_by_itself_and_its_metric_is_the_age(files):
    _, secrets, watch, now = watched()
    changed = asyncio.Event()
    secrets.on_change("shared", lambda _: changed.set())
    running = asyncio.create_task(watch.run(0.05))
    await asyncio.sleep(0)
    files(shared="second-shared")
    async with asyncio.timeout(60):
        await changed.wait()
    now.seconds += 33
    assert REGISTRY.get_sample_value("worksite_secret_age_seconds") == 33
    running.cancel()


def users(password: str) -> str:
    return f'authorization {{users: [{{user: builder, password: "{password}"}}]}}'


@pytest.mark.asyncio
@pytest.mark.parametrize("known", ["before", "after"])
@pytest.mark.parametrize("server_is", ["restarted", "told to reload"])
async def test_a_connection_comes_back_with_the_new_password_known_before_or_after_the_server_wants_it(
    tmp_path, known, server_is
):
    with start_nats(tmp_path, users("old-password")) as server:
        held = [SecretStr("old-password")]
        bus = await Bus.connect(BusSettings(server.url, "builder", "builder", lambda: held[0]))
        try:
            if known == "before":
                held[0] = SecretStr("new-password")
            server.config = users("new-password")
            if server_is == "restarted":
                server.kill()
                server.start()
            else:
                server.reload()
            async with asyncio.timeout(60):
                while server_is == "told to reload" and "Reloaded server" not in (tmp_path / "nats.log").read_text():
                    await asyncio.sleep(0.01)
                while known == "after" and (tmp_path / "nats.log").read_text().count("authentication error") < 3:
                    await asyncio.sleep(0.05)
                held[0] = SecretStr("new-password")
                while not await bus.answers(1):
                    await asyncio.sleep(0.05)
        finally:
            await bus.close()


def test_what_is_set_or_unset_altogether_takes_a_restart(files, tmp_path):
    (tmp_path / "shared").unlink()
    settings = load(Some)
    secrets = Secrets(settings)
    files(shared="only-now-set")
    assert secrets.take(load(Some)) == []
    assert secrets.latest(settings).shared is None


@pytest.mark.asyncio
async def test_the_next_model_call_has_the_new_key(bus, monkeypatch):
    class Settings(ServiceSettings, ModelSettings):
        pass

    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-old")
    secrets = Secrets(settings := load(Settings))
    async with model_calls(settings, bus, "builder", secrets) as calls:
        client = calls.terms.model._client  # there is no other way to see what it would send
        monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-new")
        assert secrets.take(load(Settings)) == ["anthropic_api_key"]
        assert "sk-new" in str(client.auth_headers)
        assert "sk-old" not in str(client.auth_headers)
