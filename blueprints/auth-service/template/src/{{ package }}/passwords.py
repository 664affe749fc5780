"""Passwords: what is acceptable, and how they are hashed (argon2id)."""

import secrets
import unicodedata

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from .settings import Settings

MAX_PASSWORD_LENGTH = 128
_MIN_DISTINCT_CHARACTERS = 5
_MIN_TELLTALE_LENGTH = 4


class Passwords:
    """Hashes and verifies passwords with the cost that the settings ask for."""

    def __init__(self, settings: Settings) -> None:
        self._hasher = PasswordHasher(
            time_cost=settings.argon2_time_cost,
            memory_cost=settings.argon2_memory_kib,
            parallelism=settings.argon2_parallelism,
        )
        self._decoy = self.hash(secrets.token_urlsafe(32))

    def hash(self, password: str) -> str:
        """Return the argon2id hash with its salt and parameters in PHC format."""
        return self._hasher.hash(_normalise(password))

    def verify(self, password: str, password_hash: str | None) -> bool:
        """Tell whether the password matches.

        Without a hash (no such account) the answer is ``False`` after the same amount of work, so
        that the time taken does not tell which accounts exist.
        """
        try:
            matches = self._hasher.verify(password_hash or self._decoy, _normalise(password))
        except (VerificationError, InvalidHashError):
            return False
        return matches and password_hash is not None

    def is_outdated(self, password_hash: str) -> bool:
        """Tell whether the hash was made with other parameters than those configured now."""
        return self._hasher.check_needs_rehash(password_hash)


def find_weakness(password: str, email: str, min_length: int) -> str | None:
    """Say why the password is not acceptable, or ``None`` when it is.

    Length and obvious guesses decide, not character classes (NIST SP 800-63B, section 3.1.1.2).
    """
    password = _normalise(password)
    name = email.partition("@")[0].casefold()
    if len(password) < min_length:
        return f"must have at least {min_length} characters"
    if len(set(password)) < _MIN_DISTINCT_CHARACTERS:
        return f"must have at least {_MIN_DISTINCT_CHARACTERS} different characters"
    if len(name) >= _MIN_TELLTALE_LENGTH and name in password.casefold():
        return "must not contain the name in the e-mail address"
    return None


def _normalise(password: str) -> str:
    # The same password typed on two keyboards may differ in code points.
    return unicodedata.normalize("NFKC", password)
