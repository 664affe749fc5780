"""Which key verifies a token: chosen by the algorithm first, so that no key is ever used for another's algorithm."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import Key, OctKey, OKPKey
from joserfc.jws import JWSRegistry
from worksite.gateway.auth.errors import InvalidToken
from worksite.gateway.auth.jwks import Jwks
from worksite.gateway.auth.rings import KeyRing

PUBLIC_KEY_ALGORITHMS = ("EdDSA", "ES256", "RS256")
SHARED_SECRET_ALGORITHM = "HS256"  # noqa: S105 - a name, no secret
MIN_SECRET_BYTES = 32
_MIN_DISTINCT_CHARACTERS = 10
_WELL_KNOWN = (
    "changeme", "change-me", "change_me", "change-this", "change_this", "your-secret", "your_secret", "yoursecret",
    "your-256-bit", "secret-key", "secret_key", "secretkey", "supersecret", "super-secret", "super_secret", "password",
    "placeholder", "example", "insecure", "development", "0123456789", "1234567890", "abcdefghij", "qwertyuiop",
    "jwt-secret", "jwt_secret", "jwtsecret", "my-secret", "my_secret", "mysecret", "default", "worksite", "letmein",
)  # fmt: skip
"""Parts of the values that tutorials and templates print. A random secret holds none of them."""


class AllowList(JWSRegistry):
    """Exactly the given algorithms. joserfc's own registry would warn of every EdDSA token, because RFC 9864 prefers
    the newer name Ed25519, which few issuers use yet."""

    def __init__(self, algorithms: Collection[str]) -> None:
        super().__init__(algorithms=algorithms, strict_check_header=False)
        self._names = frozenset(algorithms)

    def get_alg(self, name: str):
        if name not in self._names:
            raise UnsupportedAlgorithmError(f"{name} is not allowed")
        return self.algorithms[name]


def shared_secret(text: str) -> OctKey:
    """The key for HS256. Raises ValueError for a secret that can be guessed."""
    if len(text.encode()) < MIN_SECRET_BYTES:
        raise ValueError(f"must have {MIN_SECRET_BYTES} bytes at least, e.g. the output of 'openssl rand -base64 48'")
    repeats = text in (text + text)[1:-1]
    if repeats or len(set(text)) < _MIN_DISTINCT_CHARACTERS or any(known in text.lower() for known in _WELL_KNOWN):
        raise ValueError("is a well-known or guessable value; take the output of 'openssl rand -base64 48'")
    return OctKey.import_key(text)


def signing_key(text: str) -> OKPKey:
    """The embedded issuer's key. Raises ValueError for anything but a private Ed25519 JWK."""
    try:
        key = OKPKey.import_key(json.loads(text))
    except (JoseError, ValueError, TypeError, KeyError, AttributeError):
        key = None
    if key is None or not key.is_private or key.curve_name != "Ed25519":
        raise ValueError("must be a private Ed25519 key as JWK (JSON with kty OKP, crv Ed25519, x and d)")
    key.ensure_kid()
    return key


@dataclass(frozen=True)
class Keys:
    """Every key that this gateway trusts."""

    secret: KeyRing[OctKey] | None = None
    own: KeyRing[OKPKey] | None = None
    jwks: Jwks | None = None

    @property
    def algorithms(self) -> tuple[str, ...]:
        """The allow-list: HS256 only when a secret is configured."""
        return (*PUBLIC_KEY_ALGORITHMS, SHARED_SECRET_ALGORITHM) if self.secret else PUBLIC_KEY_ALGORITHMS

    async def find(self, algorithm: object, kid: object) -> Sequence[Key]:
        """Those that may have signed: of shared secrets, which have no names, all that are good.

        Raises InvalidToken, and ServiceUnavailable while the external key set cannot be had.
        """
        if algorithm not in self.algorithms:
            raise InvalidToken(f"signed with an algorithm other than {', '.join(self.algorithms)}")
        if algorithm == SHARED_SECRET_ALGORITHM and self.secret:
            return self.secret.verifying
        if not isinstance(kid, str):
            raise InvalidToken("its header names no key (kid)")
        if own := [key for key in self.own.verifying if key.kid == kid] if self.own else []:
            return own
        key = await self.jwks.find(kid) if self.jwks else None
        if key is None:
            raise InvalidToken("signed with an unknown key")
        return [key]
