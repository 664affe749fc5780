"""The review of a judged change by a language model: asked by the service itself, after the verdict, with a time limit.

The sandbox has no part in it, and neither has the verdict (`domain/reviewing.py`, ADR 0018).
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from worksite.common.errors import BusUnavailable, Fenced, StepRefused
from worksite.common.llm import ModelRequest, user
from worksite.common.llm.agents import Agent, found_once
from worksite.common.llm.calls import ModelCalls
from worksite.common.llm.errors import ModelUnavailable
from worksite.common.llm.prompts import Prompt
from worksite.common.messages import Advice, CheckResult, Spec, Tier, ValidateChange
from worksite.common.worker import StepContext
from worksite.validator.domain import differences, reviewing
from worksite.validator.domain.judgement import bounded
from worksite.validator.domain.reviewing import NAME, ReviewAnswer, Reviewed
from worksite.validator.judge import Evidence
from worksite.validator.tree import Repository, Tree

log = logging.getLogger(__name__)
MAX_TOKENS = 4000
USUAL_TIER: Tier = "small"
_SHARE_OF_WHAT_IS_LEFT = 0.5
"""Of the time until the task's deadline, at most: a verdict must not be lost for the sake of advice."""


@dataclass(frozen=True)
class JudgedChange:
    """What there is to be said something about. `compared`: there is a base."""

    command: ValidateChange
    spec: Spec
    evidence: Evidence
    head: Tree
    repository: Repository
    compared: bool


@dataclass(frozen=True)
class Reviewer:
    """The model of each tier, how it is prompted, and how long it may take."""

    models: ModelCalls
    model_of: Callable[[Tier], str]
    prompt: Prompt
    seconds: float
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    async def review(self, judged: JudgedChange, context: StepContext) -> CheckResult:
        """A check that is neither passed nor failed, whatever the model says or does.

        Raises Fenced, BusUnavailable: then there is nobody to report to.
        """
        await context.progress(f"{NAME}: a language model looks at the change")
        started = time.monotonic()
        evidence, advice = await self._said(judged, context)
        await context.progress(f"{NAME}: {evidence[:300]}")
        return CheckResult(
            name=NAME,
            verdict="not_applicable",
            grade="self_reported",
            evidence=bounded(evidence),
            duration_seconds=round(time.monotonic() - started, 3),
            advice=advice,
        )

    async def _said(self, judged: JudgedChange, context: StepContext) -> tuple[str, tuple[Advice, ...]]:
        """What came of it, and the advice; of a review that was not to be had, why."""
        left = (judged.command.deadline - self.now()).total_seconds() * _SHARE_OF_WHAT_IS_LEFT
        seconds = min(self.seconds, left)
        try:
            async with asyncio.timeout(seconds):
                return await self._reviewed(judged, context)
        except (Fenced, BusUnavailable):
            raise
        except TimeoutError:
            reason = f"no answer within {seconds:.3g} s"
        except (StepRefused, ModelUnavailable) as error:
            reason = str(error)
        except Exception as error:  # the boundary: advice that cannot be had costs no verdict
            log.exception("the review of %s failed", judged.command.task)
            reason = f"it could not be made ({type(error).__name__})"
        log.warning("no model review of %s: %s", judged.command.task, reason)
        return f"no model review: {reason}", ()

    async def _reviewed(self, judged: JudgedChange, context: StepContext) -> tuple[str, tuple[Advice, ...]]:
        command = judged.command
        model = self.model_of(command.tier or USUAL_TIER)
        calls = await self.models.of(command, context)

        async def judgement() -> str:
            evidence = judged.evidence
            return reviewing.judgement_of(evidence.verdict, evidence.criteria, evidence.checks)

        # No two judgements say quite the same, so a replay tells the model of the one that it was told of first.
        known = await found_once(calls, "judgement", judgement)
        text = reviewing.opening(command.round, judged.spec, known, await _change(judged))
        answer = await Agent(calls, ReviewAnswer, faults=_faults).work(self._request(model, text))
        if not isinstance(answer.data, Reviewed):
            return f"no model review: the model refuses: {answer.data.detail}", ()
        remarks = answer.data.findings
        advice = await asyncio.to_thread(reviewing.looked_up, remarks, _Files(judged.head))
        return f"{reviewing.told(advice, len(remarks))} ({self.prompt.engine(model)})", advice

    def _request(self, model: str, text: str) -> ModelRequest:
        return ModelRequest(model=model, max_tokens=MAX_TOKENS, system=self.prompt.text, turns=(user(text),))


async def _change(judged: JudgedChange) -> str:
    changeset = judged.command.changeset
    patch = await judged.repository.patch(changeset.base_sha if judged.compared else None, changeset.head_sha)
    return differences.shown(differences.changed_files(patch)) or "(no text was changed)"


async def _faults(answer: ReviewAnswer) -> Sequence[str]:
    wrong = reviewing.contradiction(answer)
    return (wrong,) if wrong else ()


class _Files:
    """The head's files by lines. A path is looked up among their names, never followed."""

    def __init__(self, head: Tree) -> None:
        self._root, self._names = head.path, frozenset(head.files)
        self._last: tuple[str, Sequence[str]] = "", ()

    def __call__(self, path: str) -> Sequence[str] | None:
        if path not in self._names:
            return None
        if self._last[0] != path:
            self._last = path, (self._root / path).read_bytes().decode(errors="replace").split("\n")
        return self._last[1]
