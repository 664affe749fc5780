"""The process itself, on a real bus."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from worksite.common import subjects
from worksite.common.artifacts import Artifacts
from worksite.common.bus import Bus, Envelope
from worksite.common.messages import Criterion, Judgement, Report, Spec, StepResult
from worksite.common.settings import SettingsError
from worksite.common.testing import NatsServer
from worksite.validator import main
from worksite.validator.sandbox import SandboxUnavailable
from worksite.validator.settings import ValidatorSettings

pytestmark = pytest.mark.asyncio
STATE = Path(__file__).parents[3] / ".worksite" / "validator-tests"
FILES = {
    "calc.py": '"""Numbers."""\n',
    "tests/test_calc.py": "import calc\n\n\ndef test_calc():\n    assert calc.__doc__\n",
}
CRITERION = Criterion(id="project-tests", statement="The project's tests pass", grade="self_reported")


async def test_a_command_becomes_one_result_with_a_stored_report(
    bus: Bus, nats_server: NatsServer, project: Any, make_command: Callable[..., Any]
) -> None:
    spec = Spec(title="Numbers", request="review", engine="test", criteria=(CRITERION,))
    command = await make_command(Artifacts(bus), spec, project.commit(FILES))
    envelope = Envelope(command.ce_type(), "admin", command.tenant, command.task)
    settings = {"NATS_URL": nats_server.url, "STATE_DIR": str(STATE)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "worksite.validator.main", env=os.environ | settings
    )
    try:
        await bus.publish(subjects.work_subject("validator", command.tenant), command, envelope)
        result = await _result(bus, command)
    finally:
        process.send_signal(signal.SIGTERM)
        await process.wait()

    assert process.returncode == 0
    assert (result.reply.agent, result.reply.status) == ("validator", "ok")
    assert isinstance(result.reply.data, Judgement)
    report = Report.consume(await Artifacts(bus).get(result.reply.data.report))
    assert (report.verdict, report.spec_sha256) == ("PASS", command.spec.sha256)


async def _result(bus: Bus, command: Any) -> StepResult:
    subject = subjects.event_subject(command.tenant, command.task, "validator", command.step, "result")
    async with asyncio.timeout(60), bus.listen(subject) as changed:
        while not (found := await bus.read("EVENTS", subject, 0)):
            changed.clear()
            with contextlib.suppress(TimeoutError):  # the hint may come before the message is stored: look again
                await asyncio.wait_for(changed.wait(), 0.1)
    return StepResult.consume(found[0].data)


async def test_a_machine_that_cannot_confine_a_candidate_keeps_the_service_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unavailable(_: Any) -> Any:
        raise SandboxUnavailable("no landlock here")

    monkeypatch.setattr(main, "open_sandbox", unavailable)

    with pytest.raises(SettingsError, match="SANDBOX=auto: no landlock here"):
        await main.open_bench(ValidatorSettings(state_dir=tmp_path))
