"""The routing cascade with its I/O, which happens before anything is decided about the task (`domain/decide.py`).

    explicit -> rules -> classifier (its vector from rag) -> language model -> default

The first stage that is sure decides. It is safe to run again on the same submission: nothing is recorded here but the
model's call, in its journal, and of two different outcomes only the one counts that is recorded in the task's state.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from worksite.admin import metrics
from worksite.admin.cascade import Cascade, Clock
from worksite.admin.reader import Reader
from worksite.admin.route_model import RouteModel, size_of
from worksite.common.ids import new_id
from worksite.common.messages import ExplainRoute, GitProject, NewProject, RouteDecision, RouteExplained, SubmitTask

_SOME_PROJECT = GitProject(git_url="https://git.invalid/any.git")
_NEVER = datetime(1970, 1, 1, tzinfo=UTC)


class Router:
    """Chooses routes. Without a reader and a model: by what the request says, by rules, by default."""

    def __init__(
        self,
        reader: Reader | None = None,
        model: RouteModel | None = None,
        asking_usd: float = 0.0,
        clock: Clock = time.perf_counter,
    ) -> None:
        """`asking_usd`: what one call of a model is expected to cost."""
        self._reader, self._model, self._asking_usd, self._clock = reader, model, asking_usd, clock

    async def route(self, task: SubmitTask) -> RouteDecision:
        """The decision, with what it took. How hard the request is, is found out where a model could use it."""
        asking = self._asking_usd if self._model else None
        ask = self._model.decide if self._model else None
        cascade = Cascade(task, self._reader, asking, ask, self._clock)
        decision = await cascade.decided(with_difficulty=self._model is not None)
        metrics.routed(decision, cascade.reports)
        return decision

    async def explain(self, asked: ExplainRoute) -> RouteExplained:
        """What `route` would say now, but for the model, which is not called: its route is then the classifier's."""
        project = NewProject() if asked.new_project else _SOME_PROJECT
        task = SubmitTask(
            task=new_id(),
            tenant=asked.tenant,
            principal="nobody",
            request=asked.request,
            route=asked.route,
            project=project,
            submitted_at=_NEVER,
        )
        asking = self._asking_usd if self._model or asked.assume_model else None
        cascade = Cascade(task, self._reader, asking, None, self._clock)
        decision = await cascade.decided(with_difficulty=True)
        return RouteExplained(decision=decision, stages=tuple(cascade.reports), asking=size_of(asked.request))
