"""Tokens: signed access tokens (JWT, HS256) and opaque refresh tokens."""

import hashlib
import secrets
import uuid
from dataclasses import dataclass
from datetime import datetime

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import OctKey

from .problems import InvalidAccessToken
from .settings import Settings

_ALGORITHM = "HS256"


@dataclass(frozen=True, slots=True)
class AccessClaims:
    """What a verified access token says."""

    account_id: str
    session_id: str


class AccessTokens:
    """Signs and verifies access tokens with the service's own key."""

    def __init__(self, settings: Settings) -> None:
        self._key = OctKey.import_key(settings.secret_key.get_secret_value())
        self._issuer = settings.issuer
        self._audience = settings.audience
        self._lifetime_seconds = settings.access_token_seconds

    def issue(self, account_id: str, session_id: str, now: datetime) -> str:
        """Return a signed token for one session."""
        issued_at = int(now.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": account_id,
            "sid": session_id,
            "iat": issued_at,
            "exp": issued_at + self._lifetime_seconds,
            "jti": uuid.uuid4().hex,
        }
        return jwt.encode({"alg": _ALGORITHM}, claims, self._key)

    def verify(self, token: str, now: datetime) -> AccessClaims:
        """Check signature, algorithm and every claim.

        Raises:
            InvalidAccessToken: without saying which check failed.
        """
        registry = jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            sub={"essential": True},
            sid={"essential": True},
            iat={"essential": True},
            exp={"essential": True},
            jti={"essential": True},
        )
        try:
            claims = jwt.decode(token, self._key, algorithms=[_ALGORITHM]).claims
            registry.validate(claims)
        except (JoseError, ValueError, TypeError):  # joserfc lets some malformed headers through
            raise InvalidAccessToken from None
        return AccessClaims(account_id=str(claims["sub"]), session_id=str(claims["sid"]))


def new_refresh_token() -> str:
    """Return 256 random bits as text."""
    return secrets.token_urlsafe(32)


def digest(value: str) -> str:
    """Return the SHA-256 in hex: enough for random tokens, never used for passwords."""
    return hashlib.sha256(value.encode()).hexdigest()
