"""An ASGI application of the candidate's, behind `asgi_host.py`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, cast

from worksite.common.messages import Harness
from worksite.validator.acceptance.hosted import CandidateFault, Hosted
from worksite.validator.bench import Bench, Version


class Candidate(Hosted):
    """One running application."""

    program = "asgi_host.py"

    def __init__(self, bench: Bench, version: Version, harness: Harness, env: Mapping[str, str]) -> None:
        super().__init__(bench, version, harness.import_roots, env)
        self._harness = harness

    def _config(self) -> dict[str, Any]:
        return {"target": self._harness.target, "factory": self._harness.factory}

    async def exchange(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers to requests that are sent at once. Raises CandidateFault."""
        answer = await self._ask({"requests": requests})
        responses = answer.get("responses")
        if not isinstance(responses, list) or len(cast("list[Any]", responses)) != len(requests):
            raise CandidateFault("the candidate sent something else than one answer per request")
        return [_response(each) for each in cast("list[Any]", responses)]


def harness_environment(harness: Harness) -> dict[str, str]:
    """The harness's variables, `{random}` replaced by values chosen after the candidate was frozen."""
    return {name: value.replace("{random}", secrets.token_hex(32)) for name, value in harness.env.items()}


def _response(answer: Any) -> dict[str, Any]:
    """Only what the protocol knows, with exactly its types: a test must not meet a value that plays tricks."""
    if not isinstance(answer, dict):
        raise CandidateFault("the candidate sent an answer that is not an object")
    fields = cast("dict[str, Any]", answer)
    status, headers, body = fields.get("status"), fields.get("headers"), fields.get("body")
    if type(status) is not int or not isinstance(body, str) or not _is_pairs(headers):
        raise CandidateFault("the candidate sent an answer with fields of the wrong type")
    return {"status": status, "headers": headers, "body": body}


def _is_pairs(headers: Any) -> bool:
    return isinstance(headers, list) and all(
        isinstance(pair, list) and len(cast("list[Any]", pair)) == 2 and all(isinstance(part, str) for part in pair)  # pyright: ignore[reportUnknownVariableType]
        for pair in cast("list[Any]", headers)
    )
