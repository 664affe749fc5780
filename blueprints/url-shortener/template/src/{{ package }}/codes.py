"""Codes: what stands behind the slash of a short link."""

import secrets
import string

ALPHABET = "".join(sorted({*string.ascii_lowercase, *string.digits} - {*"0o1il"}))
"""What nobody misreads: neither 0 and o, nor 1, i and l. One case, since codes are found in any case."""

ALIAS = r"^[A-Za-z0-9][A-Za-z0-9_-]{1,48}[A-Za-z0-9]$"

RESERVED = frozenset(("docs", "healthz", "links", "redoc"))
"""Paths of this service that an alias would hide behind."""


def new_code(length: int) -> str:
    """Return a code that nobody can guess, whatever other codes they know."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))
