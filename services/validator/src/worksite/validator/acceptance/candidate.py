"""The candidate's processes: started from a fresh copy of the tree, talked to by lines, never trusted."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from typing import Any, cast

from worksite.common.messages import Harness
from worksite.validator.bench import Bench, Version
from worksite.validator.domain.cases import LAST_WORDS
from worksite.validator.domain.untrusted import read_json
from worksite.validator.sandbox import Job, LauncherError, Limits, LineTooLong, Session, SessionClosed

MIB = 1 << 20
START_SECONDS = 30.0
ANSWER_SECONDS = 15.0
STOP_SECONDS = 10.0
MAX_LINE = 8 * MIB
_LIMITS = Limits(wall_seconds=180, cpu_seconds=120, output_bytes=64 * MIB)


class CandidateFault(Exception):
    """The candidate did not start, did not answer, or answered nonsense: evidence against it."""


class Candidate:
    """One program with its workspace; a restart keeps the workspace."""

    def __init__(self, bench: Bench, version: Version, harness: Harness, env: Mapping[str, str]) -> None:
        self._bench, self._version, self._harness, self._env = bench, version, harness, env
        self._kept = AsyncExitStack()
        self._process = AsyncExitStack()
        self._session: Session | None = None
        self._workspace = Path()

    async def start(self) -> None:
        """Raises CandidateFault; LauncherError when the sandbox itself fails."""
        self._workspace = await self._kept.enter_async_context(self._bench.copy_of(self._version.tree))
        await self._start_process()

    async def restart(self) -> None:
        """Shut down in order, then start again in the same workspace with the same environment.

        Raises CandidateFault, also for a workspace that the candidate made unusable; LauncherError.
        """
        await self._stop_process()
        try:
            await self._start_process()
        except LauncherError as error:
            if error.step == "workspace":
                raise CandidateFault(
                    f"the candidate cannot be started in what it left behind: {error.reason}"
                ) from None
            raise

    async def stop(self) -> None:
        """Kill it and remove its workspace."""
        self._session = None
        await self._process.aclose()
        await self._kept.aclose()

    async def exchange(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The answers to requests that are sent at once. Raises CandidateFault."""
        answer = await self._ask({"requests": requests}, ANSWER_SECONDS)
        responses = answer.get("responses")
        if not isinstance(responses, list) or len(cast("list[Any]", responses)) != len(requests):
            raise CandidateFault("the candidate sent something else than one answer per request")
        return [_response(each) for each in cast("list[Any]", responses)]

    async def _start_process(self) -> None:
        self._session = await self._process.enter_async_context(self._bench.sandbox.open(self._job()))
        greeting = await self._receive(START_SECONDS)
        if greeting.get("ready") is not True:
            raise CandidateFault(f"the application did not start: {greeting.get('error')}{self.last_words()}")

    async def _stop_process(self) -> None:
        if self._session is not None:
            with suppress(TimeoutError):  # then it is killed
                async with asyncio.timeout(STOP_SECONDS):
                    await self._session.wait()
        self._session = None
        await self._process.aclose()

    def _job(self) -> Job:
        packages = self._version.environment.paths
        host = self._bench.tools.program("asgi_host.py")
        config = {
            "target": self._harness.target,
            "factory": self._harness.factory,
            "import_roots": import_roots(self._harness, self._workspace),
            "packages": [str(path) for path in packages],
        }
        argv = (str(self._bench.sandbox.python), "-I", "-S", "-B", str(host), json.dumps(config))
        readable = (host.parent, *packages)
        return Job(argv, self._workspace, readable, self._env, _LIMITS)

    async def _ask(self, message: dict[str, Any], seconds: float) -> dict[str, Any]:
        if self._session is None:
            raise CandidateFault("the candidate is not running")
        return await self._receive(seconds, json.dumps(message).encode() + b"\n")

    async def _receive(self, seconds: float, question: bytes = b"") -> dict[str, Any]:
        """One line, after the question if there is one. After a fault the pipe is out of step, so the process is given
        up; one that does not read is as late as one that does not answer."""
        assert self._session is not None
        try:
            async with asyncio.timeout(seconds):
                await self._session.write(question)
                return _parse(await self._session.readline(MAX_LINE, seconds))
        except (SessionClosed, LineTooLong, TimeoutError, CandidateFault) as error:
            fault = CandidateFault(f"{_words(error, seconds)}{self.last_words()}")
        self._session = None
        await self._process.aclose()
        raise fault

    def last_words(self) -> str:
        """The end of its error output, introduced; empty where it said nothing."""
        said = self._session.stderr_tail(2000).decode(errors="replace").strip() if self._session else ""
        return f"\n{LAST_WORDS}\n{said}" if said else ""


def harness_environment(harness: Harness) -> dict[str, str]:
    """The harness's variables, `{random}` replaced by values chosen after the candidate was frozen."""
    return {name: value.replace("{random}", secrets.token_hex(32)) for name, value in harness.env.items()}


def import_roots(harness: Harness, workspace: Path) -> list[str]:
    """The harness's import roots in this workspace; one that leaves it is left out."""
    roots = [(workspace / root).resolve() for root in harness.import_roots]
    return [str(root) for root in roots if root.is_relative_to(workspace.resolve())]


def _words(error: Exception, seconds: float) -> str:
    if isinstance(error, TimeoutError):
        return f"the candidate did not answer within {seconds:.0f} s"
    if isinstance(error, SessionClosed):
        return "the candidate ended without an answer"
    return str(error)


def _parse(line: bytes) -> dict[str, Any]:
    try:
        document = read_json(line)
    except ValueError:
        raise CandidateFault("the candidate sent a line that is not JSON") from None
    if not isinstance(document, dict):
        raise CandidateFault("the candidate sent a line that is not a JSON object")
    return cast("dict[str, Any]", document)


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
