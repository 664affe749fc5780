"""From a token to a principal: signature, then claims (RFC 8725, JSON Web Token Best Current Practices)."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

from joserfc import jws
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError, MissingClaimError
from joserfc.jwt import JWTClaimsRegistry
from worksite.gateway.auth.errors import InvalidToken
from worksite.gateway.auth.keys import AllowList, Keys
from worksite.gateway.auth.rings import LEEWAY_SECONDS
from worksite.gateway.domain.principal import InvalidClaims, Principal, principal_from

MAX_TOKEN_BYTES = 8 * 1024
_DANGEROUS_HEADERS = ("jku", "x5u", "jwk", "x5c", "crit", "b64")
"""Headers that would let the token say where its own key comes from or change how it is read."""
_UNREADABLE = (JoseError, ValueError, TypeError, KeyError, AttributeError, RecursionError)
"""What hostile bytes make the parsers raise: a header that is no object, 6 KB of nothing but brackets, …"""
_TYPES = {"jwt", "at+jwt", "application/jwt", "application/at+jwt"}


class Verifier:
    """Verifies tokens of one issuer for one audience."""

    def __init__(self, keys: Keys, issuer: str, audience: str, clock: Callable[[], float] = time.time) -> None:
        self._keys = keys
        self._registry = AllowList(keys.algorithms)
        self._claims = JWTClaimsRegistry(
            now=lambda: int(clock()),
            leeway=LEEWAY_SECONDS,
            iss={"essential": True, "value": issuer},
            aud={"essential": True, "value": audience},
            exp={"essential": True},
            iat={"essential": True},
            sub={"essential": True},
            jti={"essential": True},
        )

    async def verify(self, token: str) -> Principal:
        """Raises InvalidToken; ServiceUnavailable when the external key set cannot be had."""
        if len(token) > MAX_TOKEN_BYTES:
            raise InvalidToken(f"longer than {MAX_TOKEN_BYTES} bytes")
        try:
            signed = jws.extract_compact(token.encode("ascii"))
            _check_header(signed.headers())
            keys = await self._keys.find(signed.headers().get("alg"), signed.headers().get("kid"))
            if not any(jws.validate_compact(signed, key, registry=self._registry) for key in keys):
                raise InvalidToken("its signature is wrong")
            claims = json.loads(signed.payload or b"")
            if not isinstance(claims, dict):
                raise InvalidToken("it holds no claims")
            self._claims.validate(claims)
            return principal_from(claims)
        except InvalidClaims as error:
            raise InvalidToken(str(error)) from error
        except _UNREADABLE as error:
            raise InvalidToken(_reason(error)) from error


def _check_header(header: dict[str, object]) -> None:
    for name in _DANGEROUS_HEADERS:
        if name in header:
            raise InvalidToken(f"its header has {name}, which is not accepted")
    if str(header.get("typ", "JWT")).lower() not in _TYPES:
        raise InvalidToken("its type (typ) is not JWT")


def _reason(error: Exception) -> str:
    match error:
        case ExpiredTokenError():
            return "it has expired"
        case MissingClaimError():
            return f"claim {error.claim} is missing"
        case InvalidClaimError():
            return f"claim {error.claim} is wrong"
        case _:
            return "it is not a signed JWT"
