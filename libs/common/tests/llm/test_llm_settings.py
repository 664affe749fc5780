"""Models, limits and budgets as a service is told them."""

import subprocess
import sys
import traceback
from datetime import date

import pytest
from worksite.common.artifacts import Artifacts
from worksite.common.llm import Conversation, ModelRequest, Prices, Reply, Script, user
from worksite.common.llm.budgets import BudgetLimits
from worksite.common.llm.errors import UnknownPrice
from worksite.common.llm.pacing import PaceLimits
from worksite.common.llm.settings import ModelSettings
from worksite.common.llm.wiring import model_calls
from worksite.common.secrets.rotation import Secrets
from worksite.common.settings import ServiceSettings, SettingsError, load
from worksite.common.testing import examples
from worksite.common.testing.messages_api import MessagesApi, serving
from worksite.common.testing.messages_api.api import TEST_KEY
from worksite.common.testing.steps import step_context

TODAY = date(2026, 11, 23)


class Settings(ServiceSettings, ModelSettings):
    """As a service declares its own."""


@pytest.fixture(autouse=True)
def nothing_set(monkeypatch):
    for name in ModelSettings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_by_default_there_is_no_key_and_no_limit_and_every_tier_has_a_known_price():
    settings = load(Settings)
    assert (settings.anthropic_api_key, settings.paces) == (None, {})
    for tier in ("small", "medium", "large"):
        assert Prices.shipped(TODAY).row(settings.model_of(tier))


def test_models_limits_and_budgets_come_from_the_environment(monkeypatch):
    given = {
        "MODEL_SMALL": "qwen", "MODEL_MEDIUM": "qwen", "MODEL_REQUESTS_PER_MINUTE": "50", "BUDGET_TASK_USD": "0.25",
        "ANTHROPIC_API_KEY": "sk-secret",
    }  # fmt: skip
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    settings = load(Settings)
    assert settings.paces == {"qwen": PaceLimits(requests=50), "claude-opus-5-5": PaceLimits(requests=50)}
    assert settings.budgets == BudgetLimits(200_000_000, 250_000, 3_000_000)
    assert "sk-secret" not in repr(settings)


def test_a_key_may_be_a_file(monkeypatch, tmp_path):
    (tmp_path / "anthropic_api_key").write_text("sk-file")
    monkeypatch.setenv("SECRETS_DIR", str(tmp_path))
    key = load(Settings).anthropic_api_key
    assert key
    assert key.get_secret_value() == "sk-file"


def test_blanks_around_a_key_are_not_of_it_and_a_blank_key_is_none(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", " sk-blank\n")
    key = load(Settings).anthropic_api_key
    assert key
    assert key.get_secret_value() == "sk-blank"
    monkeypatch.setenv("ANTHROPIC_API_KEY", " \n")
    assert load(Settings).anthropic_api_key is None


@pytest.mark.parametrize("odd", ["sk-can\nary", "sk-can ary", "sk-canäry", "sk-can\x7fary"])
def test_a_key_that_no_header_can_carry_is_refused_at_the_start_and_not_quoted(monkeypatch, odd):
    monkeypatch.setenv("ANTHROPIC_API_KEY", odd)
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY") as refused:
        load(Settings)
    assert "ary" not in "".join(traceback.format_exception(refused.value))


def test_a_server_without_a_key_is_refused_because_it_would_never_be_asked(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:8088")
    with pytest.raises(SettingsError, match="ANTHROPIC_API_KEY is not, so no model would be called"):
        load(Settings)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    assert load(Settings).anthropic_base_url == "http://127.0.0.1:8088"


@pytest.mark.parametrize("odd", ["localhost:8088", "127.0.0.1:8088", "ftp://models", "http://", "models"])
def test_a_server_whose_address_has_no_scheme_is_refused_at_the_start(monkeypatch, odd):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", odd)
    with pytest.raises(SettingsError, match=r"ANTHROPIC_BASE_URL.*http://"):
        load(Settings)


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/messages", "/proxy/v1"])
def test_an_address_that_would_get_its_v1_twice_is_refused_at_the_start(monkeypatch, path):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", f"http://127.0.0.1:8088{path}")
    with pytest.raises(SettingsError, match=r"ANTHROPIC_BASE_URL.*leave that out"):
        load(Settings)


@pytest.mark.asyncio
async def test_without_a_key_there_are_no_calls(bus):
    async with model_calls(load(Settings), bus, "builder", Secrets()) as calls:
        assert calls is None


@pytest.mark.asyncio
async def test_a_tier_without_a_price_is_told_at_the_start(bus, monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "any")
    monkeypatch.setenv("MODEL_LARGE", "own-model")
    with pytest.raises(UnknownPrice, match="own-model"):
        async with model_calls(load(Settings), bus, "builder", Secrets()):
            pass


@pytest.mark.asyncio
async def test_another_server_is_one_setting_away(bus, monkeypatch):
    script = Script(conversations=(Conversation(opening="work", replies=(Reply.saying("done"),)),))
    async with serving(MessagesApi(script)) as url:
        for name, value in {"ANTHROPIC_API_KEY": TEST_KEY, "ANTHROPIC_BASE_URL": url}.items():
            monkeypatch.setenv(name, value)
        settings = load(Settings)
        async with model_calls(settings, bus, "builder", Secrets()) as calls:
            assert calls
            step = await calls.of(examples.commands()[2], step_context(Artifacts(bus), print))
            reply = await step.ask(ModelRequest(model=settings.model_of("small"), max_tokens=10, turns=(user("work"),)))
    assert reply.text == "done"


def test_who_has_no_key_does_not_wait_for_the_vendors_sdk():
    asked = "import sys, worksite.common.llm.wiring; sys.exit('anthropic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", asked], check=False).returncode == 0


@pytest.mark.asyncio
async def test_a_key_without_the_sdk_is_refused_by_the_name_of_what_to_install(monkeypatch):
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-any")
    monkeypatch.delitem(sys.modules, "worksite.common.llm.anthropic_model", raising=False)
    monkeypatch.setitem(sys.modules, "anthropic", None)
    with pytest.raises(SettingsError, match=r"ANTHROPIC_API_KEY takes the extra worksite-common\[models\]"):
        async with model_calls(load(Settings), None, "validator", Secrets()):  # pyright: ignore[reportArgumentType]
            pass
