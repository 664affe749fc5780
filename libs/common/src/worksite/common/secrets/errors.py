"""Why a source has no secrets for us."""


class SecretsUnavailable(Exception):
    """The source does not answer, or not now: worth another try. The text holds no secret."""
