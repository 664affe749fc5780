"""The server itself: a request in, an answer out. It knows no sockets; `transport.py` serves it.

Every request is checked as a whole before anything is answered; tokens are counted by `prompt.tokens`; what a response
costs is written down (`ledger`) when it begins, with all its prompt and what it will have put out when it ends.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from worksite.common.llm import Script, Usage
from worksite.common.llm.scripted import ScriptExhausted
from worksite.common.testing.messages_api import answers, checking, models
from worksite.common.testing.messages_api.answers import Answer
from worksite.common.testing.messages_api.billing import Billed
from worksite.common.testing.messages_api.cache import Outcome, PromptCache
from worksite.common.testing.messages_api.faults import Fault, Faults
from worksite.common.testing.messages_api.limits import Limiter, Limits
from worksite.common.testing.messages_api.prompt import prompt_of
from worksite.common.testing.messages_api.refusals import Refusal, invalid
from worksite.common.testing.messages_api.replies import Json, Message, message
from worksite.common.testing.messages_api.requests import Countable, CreateMessage

VERSIONS = ("2023-06-01", "2026-10-21")
MAX_BODY_BYTES = 32 << 20
TEST_KEY = "sk-test"
UNSCRIPTED = "unscripted"
"""The code of an answer to what the script does not know: the test is wrong, or the code under test."""


@dataclass(frozen=True)
class Seen:
    """A request as it came, and the status it got."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    status: int

    def json(self) -> Json:
        return json.loads(self.body)


class MessagesApi:
    """One provider: its accounts, its cache, its limits, its books. `keys`: credential to workspace."""

    def __init__(
        self,
        script: Script,
        *,
        keys: Mapping[str, str] | None = None,
        limits: Limits | None = None,
        faults: tuple[Fault, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._script = script
        self._keys = keys or {TEST_KEY: "default"}
        self._clock = clock
        self._limits = limits or Limits()
        self._limiters = {workspace: Limiter(self._limits, clock()) for workspace in self._keys.values()}
        self._faults = Faults(faults)
        self._cache = PromptCache()
        self._answered = 0
        self.ledger: list[Billed] = []
        self.seen: list[Seen] = []

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """`headers` by lower-case names."""
        self._answered += 1
        request_id = f"req_{self._answered:08d}"
        try:
            given = self._answer(method, path, headers, body, request_id)
        except Refusal as refusal:
            given = Answer(refusal.status, (refusal.body(request_id),), headers=refusal.headers)
        except ScriptExhausted as exhausted:
            refusal = Refusal(400, str(exhausted), code=UNSCRIPTED)
            given = Answer(400, (refusal.body(request_id),))
        self.seen.append(Seen(path, headers, body, given.status))
        return replace(given, headers={"request-id": request_id} | dict(given.headers))

    def _answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes, request_id: str) -> Answer:
        workspace = self._workspace(headers)
        version = _version(headers)
        if len(body) > MAX_BODY_BYTES:
            raise Refusal(413, "Request exceeds the maximum allowed number of bytes.")
        if method != "POST":
            raise Refusal(405, "Method Not Allowed")
        if headers.get("content-type", "").partition(";")[0] != "application/json":
            raise invalid("content-type must be application/json")
        if path == "/v1/messages/count_tokens":
            counted = checking.read(body, Countable)
            checking.check(counted, self._script, version)
            total = sum(block.tokens for block in prompt_of(counted))
            return Answer(200, (json.dumps({"input_tokens": total}).encode(),))
        if path == "/v1/messages":
            request = checking.read(body, CreateMessage)
            checking.check(request, self._script, version)
            return self._reply(request, workspace, request_id)
        raise Refusal(404, f"Not found: {path}")

    def _workspace(self, headers: Mapping[str, str]) -> str:
        """Of the key, in either of the two forms."""
        bearer = headers.get("authorization", "").removeprefix("Bearer ")
        try:
            return self._keys[headers.get("x-api-key") or bearer]
        except KeyError:
            raise Refusal(401, "invalid x-api-key") from None

    def _reply(self, request: CreateMessage, workspace: str, request_id: str) -> Answer:
        opening = _opening(request)
        fault = self._faults.take(opening)
        if fault and fault.kind == "status":
            raise Refusal(fault.status, "as planned", dict(fault.headers), fault.code)
        outcome, now = self._look(request, workspace), self._clock()
        self._limiters[workspace].admit(outcome.input_tokens + outcome.write_5m + outcome.write_1h, now)
        said = sum(message.role == "assistant" for message in request.messages)
        reply = self._script.reply_to(opening, said, "".join(block.text for block in request.system_blocks))
        checked = fault is None or fault.kind != "bad_output"
        told = message(reply, request, request_id.replace("req", "msg"), _prompt_usage(outcome), checked)
        headers = self._limiters[workspace].headers(datetime.now(UTC))
        answer = answers.streamed(told, headers, fault) if request.stream else answers.whole(told, headers)
        self._cache.keep(outcome, now)
        self._bill(workspace, told, outcome, answer)
        return answer

    def _look(self, request: CreateMessage, workspace: str) -> Outcome:
        config = request.output_config
        everything = json.dumps([workspace, request.model, config.format.schema_ if config and config.format else None])
        thinking = request.thinking.model_dump() if request.thinking else None
        choice = request.tool_choice.model_dump() if request.tool_choice else None
        scope = (everything, json.dumps([thinking, choice, config.effort if config else None]))
        least = models.known()[request.model].min_cacheable_tokens
        return self._cache.look(scope, prompt_of(request), least, self._clock())

    def _bill(self, workspace: str, told: Message, outcome: Outcome, answer: Answer) -> None:
        self._limiters[workspace].put_out(answer.generated)
        usage = Usage(
            input_tokens=outcome.input_tokens,
            cache_read_tokens=outcome.read,
            cache_write_5m_tokens=outcome.write_5m,
            cache_write_1h_tokens=outcome.write_1h,
            output_tokens=answer.generated,
            thinking_tokens=told.usage(answer.generated)["output_tokens_details"]["thinking_tokens"],
            complete=answer.complete,
        )
        self.ledger.append(Billed(told.id, workspace, told.model, usage))


def _version(headers: Mapping[str, str]) -> str:
    version = headers.get("anthropic-version")
    if version not in VERSIONS:
        raise invalid(f"anthropic-version: {version!r} is not a valid version")
    return version


def _opening(request: CreateMessage) -> str:
    return "\n".join(block.text for block in request.messages[0].blocks if block.type == "text")


def _prompt_usage(outcome: Outcome) -> Json:
    return {
        "input_tokens": outcome.input_tokens,
        "cache_read_input_tokens": outcome.read,
        "cache_creation_input_tokens": outcome.write_5m + outcome.write_1h,
        "cache_creation": {
            "ephemeral_5m_input_tokens": outcome.write_5m,
            "ephemeral_1h_input_tokens": outcome.write_1h,
        },
        "service_tier": "standard",
        "inference_geo": "not_available",
    }
