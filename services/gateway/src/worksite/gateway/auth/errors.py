"""Why a token is refused."""

from __future__ import annotations


class InvalidToken(Exception):
    """The text goes to the client: it names what is wrong, never the token."""
