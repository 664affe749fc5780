"""Between the examiner and the candidate: two sandboxes that share nothing but what this carries."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from worksite.common.messages import Harness, TestFile
from worksite.validator.acceptance.candidate import Candidate, harness_environment
from worksite.validator.acceptance.commands import Commands
from worksite.validator.acceptance.hosted import CandidateFault
from worksite.validator.acceptance.objects import Objects
from worksite.validator.bench import Bench, Version, python_tool
from worksite.validator.domain.cases import Case, Suite
from worksite.validator.domain.untrusted import read_json
from worksite.validator.sandbox import Job, Limits, LineTooLong, Session, SessionClosed
from worksite.validator.testfiles import write_tests

MIB = 1 << 20
SUITE_SECONDS = 600.0
SILENCE_SECONDS = 120.0
MAX_LINE = 16 * MIB
MAX_RUNNING = 8
_LIMITS = Limits(wall_seconds=SUITE_SECONDS, cpu_seconds=120, output_bytes=256 * MIB)
_IMPORT_ROOTS = ("src", ".")
_EXPECTED = (0, 1, 5)
"""Exit codes of pytest: all passed, some failed, none collected. Any other ends its work before it is done."""

Running = Candidate | Objects | Commands


@dataclass
class _Conversation:
    """What has been said so far: the running candidates, the finished cases."""

    bench: Bench
    version: Version
    harness: Harness | None
    env: dict[str, str]
    running: dict[int, Running] = field(default_factory=dict[int, Running])
    launched: int = 0
    exchanges: int = 0
    last_words: str = ""
    cases: dict[str, Case] = field(default_factory=dict[str, Case])
    exit_code: int | None = None
    """pytest's, once the examiner has ended."""

    async def obey(self, message: dict[str, Any]) -> dict[str, Any] | None:
        """Do what the examiner asks; the answer, or None where it expects none."""
        match message["op"]:
            case "case":
                self._note(message)
                return None
            case "end":
                self.exit_code = int(message["code"])
                return None
            case _:
                try:
                    return {"value": await self._for_a_test(message)}
                except CandidateFault as fault:
                    return {"failed": str(fault)}

    async def _for_a_test(self, message: dict[str, Any]) -> Any:
        if message["op"] in ("launch", "load", "open"):
            return await self._start(message["op"], message["env"])
        match message, self.running.get(message["app"]):
            case {"op": "request", "requests": requests}, Candidate() as app:
                self.exchanges += len(requests)
                return await app.exchange(requests)
            case {"op": "take", "steps": steps}, Objects() as objects:
                self.exchanges += len(steps) if objects.reaches(steps) else 0
                return await objects.take(steps)
            case {"op": "run", "argv": argv, "stdin": stdin, "env": env}, Commands() as commands:
                self.exchanges += commands.reaches(argv)
                return await commands.run(argv, base64.b64decode(stdin), env)
            case {"op": "restart"}, Candidate() as app:
                return await app.restart()
            case {"op": "stop"}, found if found is not None:
                self.last_words = found.last_words() or self.last_words
                return await self.running.pop(message["app"]).stop()
            case _, None:
                raise CandidateFault("this candidate was stopped")
            case _:
                raise ValueError(f"the examiner asked for {message['op']}")

    async def _start(self, kind: str, env: dict[str, str]) -> int:
        if len(self.running) >= MAX_RUNNING:
            raise CandidateFault(f"a test may keep at most {MAX_RUNNING} candidates running")
        self.launched += 1
        started = self._program(kind, self.env | env)
        self.running[self.launched] = started
        try:
            await started.start()
        except BaseException:
            await self.running.pop(self.launched).stop()
            raise
        return self.launched

    def _program(self, kind: str, env: dict[str, str]) -> Running:
        """Starting an application runs the candidate, so that alone is an exchange with it."""
        roots = self.harness.import_roots if self.harness else _IMPORT_ROOTS
        if kind == "load":
            return Objects(self.bench, self.version, roots, env)
        if kind == "open":
            return Commands(self.bench, self.version, roots, env)
        if self.harness is None:
            raise CandidateFault("the Spec does not say how to start the program")
        self.exchanges += 1
        return Candidate(self.bench, self.version, self.harness, env)

    def _note(self, message: dict[str, Any]) -> None:
        running = [said for each in self.running.values() if (said := each.last_words())]
        said = "".join(running[-1:]) or self.last_words
        text = message["text"] + (said if message["outcome"] == "failed" else "")
        case = Case(message["id"], message["outcome"], text, message["seconds"], self.exchanges)
        self.exchanges, self.last_words = 0, ""
        earlier = self.cases.get(case.id)
        if earlier is None or earlier.outcome == "passed":
            self.cases[case.id] = case


async def examine(bench: Bench, version: Version, harness: Harness | None, tests: tuple[TestFile, ...]) -> Suite:
    """Run acceptance tests against candidates started from `version`. Raises LauncherError."""
    env = harness_environment(harness) if harness else {}
    conversation = _Conversation(bench, version, harness, env)
    async with bench.sandbox.new_workspace() as trusted, bench.sandbox.new_workspace() as workspace:
        write_tests(trusted, tests)
        async with bench.sandbox.open(_examiner(bench, trusted, workspace)) as session:
            try:
                trouble = await _converse(session, conversation)
            finally:
                for started in list(conversation.running.values()):
                    await started.stop()
    return Suite(conversation.cases, trouble, doubt=_doubt(conversation))


def _doubt(conversation: _Conversation) -> str | None:
    """What the exit code of pytest says beside the cases: no test may be missing in silence."""
    code = conversation.exit_code
    if code is None or code in _EXPECTED or any(case.outcome == "failed" for case in conversation.cases.values()):
        return None
    return f"pytest broke off by itself (exit code {code}), so nobody knows what it left out"


async def _converse(session: Session, conversation: _Conversation) -> str | None:
    """Until the examiner has ended; what went wrong, if anything."""
    while conversation.exit_code is None:
        try:
            answer = await conversation.obey(read_json(await session.readline(MAX_LINE, SILENCE_SECONDS)))
            if answer is not None:
                await session.write(json.dumps(answer).encode() + b"\n")
        except (SessionClosed, LineTooLong, TimeoutError) as error:
            said = session.stderr_tail(2000).decode(errors="replace").strip()
            return f"the acceptance tests did not run to their end ({type(error).__name__}): {said}"
    return None


def _examiner(bench: Bench, trusted: Path, workspace: Path) -> Job:
    tools = bench.tools
    config = {"tests": str(trusted), "config_file": str(trusted / "pytest.ini")}
    argv = python_tool(bench, (tools.pytest, tools.programs), "import examiner; examiner.main()")
    env = {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    return Job((*argv, json.dumps(config)), workspace, (tools.programs, tools.pytest, trusted), env, _LIMITS)
