"""Acceptance: access tokens."""

import base64
import hashlib
import hmac
import json
import secrets
import time
from typing import Any

HASHES = {"HS256": hashlib.sha256, "HS512": hashlib.sha512}


def _login(app: Any, fresh: Any) -> dict[str, Any]:
    credentials = {"email": fresh.email(), "password": fresh.password()}
    assert app.post("/register", json=credentials).status == 201
    response = app.post("/login", json=credentials)
    assert response.status == 200
    return response.json()


def _me(app: Any, token: str) -> int:
    return app.get("/me", headers={"authorization": f"Bearer {token}"}).status


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decode(part: str) -> dict[str, Any]:
    return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))


def _sign(claims: dict[str, Any], key: str, algorithm: str = "HS256") -> str:
    header = {"alg": algorithm, "typ": "JWT"}
    signed = ".".join(_encode(json.dumps(part).encode()) for part in (header, claims))
    if algorithm == "none":
        return f"{signed}."
    return f"{signed}.{_encode(hmac.digest(key.encode(), signed.encode(), HASHES[algorithm]))}"


def test_access_without_a_valid_token_is_refused(app: Any, fresh: Any) -> None:
    token = _login(app, fresh)["access_token"]
    headers: list[dict[str, str]] = [
        {},
        {"authorization": "Bearer"},
        {"authorization": token},
        {"authorization": f"Basic {token}"},
        {"authorization": f"Bearer {fresh.word()}"},
        {"authorization": f"Bearer {fresh.word()}.{fresh.word()}.{fresh.word()}"},
    ]
    change = {"current_password": fresh.password(), "new_password": fresh.password()}

    for header in headers:
        for response in (
            app.get("/me", headers=header),
            app.get("/me/events", headers=header),
            app.post("/me/password", json=change, headers=header),
        ):
            assert response.status == 401, header
            assert response.headers["www-authenticate"].startswith("Bearer")
            assert response.json()["code"] == "invalid-token"
    assert _me(app, token) == 200


def test_access_token_is_a_signed_short_lived_jwt(launch: Any, fresh: Any) -> None:
    key, issuer, audience = secrets.token_hex(32), fresh.word(), fresh.word()
    env = {"AUTH_SECRET_KEY": key, "AUTH_ISSUER": issuer, "AUTH_AUDIENCE": audience}
    app = launch(env={**env, "AUTH_ACCESS_TOKEN_SECONDS": "77"})
    tokens = _login(app, fresh)
    header, payload, signature = tokens["access_token"].split(".")
    claims = _decode(payload)

    expected = hmac.digest(key.encode(), f"{header}.{payload}".encode(), hashlib.sha256)
    assert _decode(header)["alg"] == "HS256"
    assert signature == _encode(expected)
    assert claims["iss"] == issuer
    assert claims["aud"] == audience
    assert abs(claims["iat"] - time.time()) < 60
    assert claims["exp"] - claims["iat"] == tokens["expires_in"] == 77
    bearer = {"authorization": f"Bearer {tokens['access_token']}"}
    assert claims["sub"] == app.get("/me", headers=bearer).json()["id"]
    assert claims["jti"] != _decode(_login(app, fresh)["access_token"].split(".")[1])["jti"]


def test_access_token_that_was_tampered_with_is_refused(app: Any, fresh: Any) -> None:
    token, victim = (_login(app, fresh)["access_token"] for _ in range(2))
    header, payload, signature = token.split(".")
    victim_payload = victim.split(".")[1]
    other_key = secrets.token_hex(32)
    forged = [
        f"{header}.{victim_payload}.{signature}",
        f"{header}.{payload}.{_encode(secrets.token_bytes(32))}",
        f"{header}.{payload}.",
        f"{header}.{payload}",
        _sign(_decode(payload), other_key),
        _sign(_decode(payload), ""),
        _sign(_decode(payload), other_key, "none"),
    ]

    assert _me(app, token) == 200
    assert [_me(app, each) for each in forged] == [401] * len(forged)


def test_access_token_is_refused_unless_every_claim_is_right(launch: Any, fresh: Any) -> None:
    key = secrets.token_hex(32)
    app = launch(env={"AUTH_SECRET_KEY": key})
    claims = _decode(_login(app, fresh)["access_token"].split(".")[1])
    now = int(time.time())
    wrong: list[dict[str, Any]] = [
        {**claims, "iss": fresh.word()},
        {**claims, "aud": fresh.word()},
        {**claims, "sub": fresh.word()},
        {**claims, "exp": now - 3600},
        {**claims, "exp": str(claims["exp"])},
        {**claims, "iat": now + 3600, "exp": now + 7200},
    ]
    missing = [
        {name: value for name, value in claims.items() if name != left_out}
        for left_out in ("iss", "aud", "sub", "exp", "iat", "jti")
    ]

    assert _me(app, _sign(claims, key)) == 200
    assert _me(app, _sign(claims, key, "HS512")) == 401
    for each in wrong + missing:
        assert _me(app, _sign(each, key)) == 401, each


def test_access_token_expires(launch: Any, fresh: Any) -> None:
    app = launch(env={"AUTH_ACCESS_TOKEN_SECONDS": "2"})
    begin = time.monotonic()
    tokens = _login(app, fresh)
    accepted = _me(app, tokens["access_token"]) == 200
    assert accepted or time.monotonic() - begin >= 1  # The token counts in whole seconds.

    while _me(app, tokens["access_token"]) == 200:
        assert time.monotonic() - begin < 20, "the token never expired"
        time.sleep(0.1)

    assert _me(app, tokens["access_token"]) == 401
    renewed = app.post("/refresh", json={"refresh_token": tokens["refresh_token"]})
    assert renewed.status == 200
    begin = time.monotonic()
    assert _me(app, renewed.json()["access_token"]) == 200 or time.monotonic() - begin >= 1
