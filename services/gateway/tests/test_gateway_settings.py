"""A gateway that could be entered by guessing, or by nobody at all, does not start."""

from __future__ import annotations

import json
import re
import secrets
from base64 import b64encode
from pathlib import Path

import pytest
from joserfc.jwk import OKPKey
from worksite.common.settings import SettingsError, load
from worksite.gateway.settings import GatewaySettings

KEY = json.dumps(OKPKey.generate_key("Ed25519").as_dict(private=True))
ROOT = Path(__file__).parents[3]
GOOD_SECRET = "q7V1xkz0PmD3uYwB9sLfR2hTn6cJgA4eXoUi"


def loaded(monkeypatch: pytest.MonkeyPatch, **variables: str) -> GatewaySettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load(GatewaySettings)


@pytest.mark.parametrize(
    ("variables", "says"),
    [
        ({}, "ISSUER_KEY, JWT_JWKS_URL or JWT_SECRET_KEY"),
        ({"JWT_SECRET_KEY": "short"}, "JWT_SECRET_KEY: .*32 bytes"),
        ({"ISSUER_KEY": "{}"}, "ISSUER_KEY: .*Ed25519"),
        ({"ISSUER_KEY": KEY, "ISSUER_CLIENTS": "{}"}, "ISSUER_CLIENTS: .*list"),
        ({"ISSUER_KEY": KEY, "ISSUER_CLIENTS": '[{"client_id": "x"}]'}, r"ISSUER_CLIENTS: .*0\.secret_sha256"),
        ({"JWT_JWKS_URL": "http://issuer.example/keys"}, "JWT_JWKS_URL: .*https"),
        ({"JWT_JWKS_URL": "file:///etc/passwd"}, "JWT_JWKS_URL: .*https"),
        ({"ISSUER_KEY": KEY, "DASHBOARD_PORT": "99999"}, "DASHBOARD_PORT"),
        ({"ISSUER_KEY": KEY, "MAX_BODY_BYTES": "0"}, "MAX_BODY_BYTES"),
    ],
)
def test_a_wrong_setting_is_named_and_explained(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    with pytest.raises(SettingsError, match=says):
        loaded(monkeypatch, **variables)


@pytest.mark.parametrize(
    "weak",
    [
        "a" * 64,  # one character
        "0101" * 16,  # two
        "Xk3vQ9zR7bT1" * 3,  # many, over and over
        "changeme-changeme-changeme-changeme",
        "your-256-bit-secret-your-256-bit-k3y",  # what jwt.io shows
        "supersecretjwtkeyforlocaldevelopment!",
        "abcdefghijklmnopqrstuvwxyz0123456789",
        "worksite-gateway-signing-key-2026-11",
    ],
)
def test_a_shared_secret_that_can_be_guessed_refuses_to_start(monkeypatch: pytest.MonkeyPatch, weak: str) -> None:
    with pytest.raises(SettingsError, match=r"JWT_SECRET_KEY: .*guessable"):
        loaded(monkeypatch, JWT_SECRET_KEY=weak)


@pytest.mark.parametrize("length", [31, 16, 1])
def test_a_shared_secret_is_too_short_below_32_bytes(monkeypatch: pytest.MonkeyPatch, length: int) -> None:
    with pytest.raises(SettingsError, match=r"JWT_SECRET_KEY: .*32 bytes"):
        loaded(monkeypatch, JWT_SECRET_KEY=GOOD_SECRET[:length])


def test_random_secrets_of_the_usual_forms_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    for make in (secrets.token_hex, secrets.token_urlsafe, lambda n: b64encode(secrets.token_bytes(n)).decode()):
        for _ in range(50):
            loaded(monkeypatch, JWT_SECRET_KEY=make(32))


@pytest.mark.parametrize("file", [".env.example", "deploy/compose/.env.example"])
def test_no_example_of_settings_lets_anybody_in(monkeypatch: pytest.MonkeyPatch, file: str) -> None:
    """What is copied without a change is a key that all the world knows."""
    lines = (ROOT / file).read_text().splitlines()
    given = dict(line.lstrip("#").split("=", 1) for line in lines if re.match(r"#?[A-Z_]+=", line))
    keys = {name: given.get(name, "") for name in ("JWT_SECRET_KEY", "ISSUER_KEY", "JWT_JWKS_URL")}
    with pytest.raises(SettingsError):
        loaded(monkeypatch, **keys)


def test_no_secret_is_repeated_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    clients = json.dumps([{"client_id": "x", "secret_sha256": "hunter2", "tenants": "*", "roles": []}])

    with pytest.raises(SettingsError) as error:
        loaded(monkeypatch, JWT_SECRET_KEY="hunter2", ISSUER_KEY='{"d": "hunter2"}', ISSUER_CLIENTS=clients)

    assert "hunter2" not in str(error.value)


@pytest.mark.parametrize(
    "variables",
    [
        {"ISSUER_KEY": KEY},
        {"JWT_SECRET_KEY": GOOD_SECRET},
        {"JWT_JWKS_URL": "https://issuer.example/keys"},
        {"JWT_JWKS_URL": "http://localhost:9000/keys"},
    ],
)
def test_one_way_to_verify_tokens_is_enough(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> None:
    loaded(monkeypatch, **variables)


def test_secrets_come_from_files_too(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "issuer_key").write_text(KEY)

    settings = loaded(monkeypatch, SECRETS_DIR=str(tmp_path))

    assert settings.issuer_key is not None
    assert KEY not in repr(settings)


def test_what_is_no_origin_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    allowed = loaded(monkeypatch, JWT_SECRET_KEY=GOOD_SECRET, MCP_ALLOWED_ORIGINS="https://a.example http://b:8080")
    assert allowed.mcp_allowed_origins.split() == ["https://a.example", "http://b:8080"]

    for wrong in ("https://a.example/", "a.example", "*"):
        with pytest.raises(SettingsError, match=f"{re.escape(wrong)} is no origin"):
            loaded(monkeypatch, JWT_SECRET_KEY=GOOD_SECRET, MCP_ALLOWED_ORIGINS=f"https://b.example {wrong}")
