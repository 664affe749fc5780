"""The decision: a state and an event give the next state, with the commands that follow from it.

Nothing else in Worksite decides what happens next. `open_task` makes the first state, `decide` every other one.
A recorded state binds: its commands are performed as they stand, never decided a second time.
"""

from __future__ import annotations

from datetime import timedelta

from worksite.admin.domain import gates, packages, resuming, stopping, timers
from worksite.admin.domain.commands import build_packages, command, merge_packages
from worksite.admin.domain.escalation import tier_for
from worksite.admin.domain.events import Event, Transition
from worksite.admin.domain.records import record_of
from worksite.admin.domain.routes import BUILDS, NEEDS_CONTENT, action_of, first_step, lacks_repository, step_after
from worksite.common.messages import (
    TERMINAL,
    Answer,
    ApprovalGiven,
    CancelRequested,
    Changeset,
    Delivered,
    ImportedProject,
    InputGiven,
    Judgement,
    PackageState,
    Problem,
    Question,
    ReplyData,
    Route,
    RouteDecision,
    SpecWritten,
    StepResult,
    SubmitTask,
    TaskOptions,
    TaskState,
    TimerDue,
)
from worksite.common.messages.replies import Action

TIME_TO_APPROVE = timedelta(days=7)
_KEPT = (
    "The work has passed and is not lost: it is among the task's artifacts, "
    "and 'worksite apply' puts it into a repository."
)
_OVER_HTTP = "over HTTP project.upload or project.git_url"
_OTHERWISE = "Or answer with route feature to have something built, with route question to have it answered."
_ENDED = {
    "merged": " Its merge request has been merged already.",
    "closed": " Its merge request has been closed by somebody and is not opened again.",
}


def open_task(event: Event, task: SubmitTask, route: RouteDecision) -> Transition:
    """The first state of a task, on the route that the cascade chose for it."""
    opened = TaskState(
        task=task.task,
        tenant=task.tenant,
        principal=task.principal,
        request=task.request,
        project=task.project,
        options=task.options,
        route=route,
        status="running",
        created_at=task.submitted_at,
        updated_at=event.time,
        deadline=task.submitted_at + timedelta(seconds=task.options.deadline_seconds),
        cause=event.id,
        applied=(event.id,),
    )
    return Transition(None, _begun(opened))


def decide(state: TaskState, event: Event, time_to_approve: timedelta = TIME_TO_APPROVE) -> Transition | None:
    """The next state; None when the event changes nothing.

    That is: the result of a step that is not in flight (late, or taken away), a second submission, a cancel of what
    has ended, input or approval that the task does not wait for, and a timer that is stale.
    """
    match event.message:
        case CancelRequested() as request if state.status not in TERMINAL:
            return Transition(state, stopping.cancelled(_moved(state, event), request))
        case StepResult() as result if result.step in state.in_flight:
            return Transition(state, _answered(_moved(state, event), result, time_to_approve))
        case InputGiven() as given if state.status == "needs_input" and state.approval is None:
            return Transition(state, _resumed(state, event, given))
        case ApprovalGiven() as given if gates.answers(given, event.time, state):
            return Transition(state, _approved(state, event, given))
        case TimerDue() as due if timers.counts(due, state):
            return Transition(state, _timed_out(state, event))
        case _:
            return None


def without_room(transition: Transition, event: Event) -> Transition:
    """What to record instead of a state that is too large for a message: the task fails and says why."""
    detail = (
        "The result of this step, together with the request, is larger than a message may be. Ask for less at once."
    )
    base = _moved(transition.before or transition.after, event)
    return Transition(transition.before, stopping.failed(base, Problem(code="too_large", detail=detail)))


def _begun(state: TaskState) -> TaskState:
    """At the first step of the route, unless that is no use."""
    route, options = state.route.route, state.options
    if lacks_repository(route, state.project):
        return stopping.waiting(state, _no_repository(route))
    if route != "review" and (options.criteria or options.base):
        return stopping.waiting(state, _only_for_review(options, route))
    if options.deliver and route not in BUILDS:
        return stopping.waiting(state, _nothing_to_deliver(route))
    return _go_on(state, first_step(route))


def _resumed(state: TaskState, event: Event, given: InputGiven) -> TaskState:
    resumed = resuming.with_input(state, given, event.time)
    if question := resuming.too_long(resumed):
        return stopping.waiting(_moved(state, event), question)
    asked = resuming.step_that_asked(state)
    moved = resuming.rerouted(_moved(resumed, event), given)
    return _go_on(moved, asked) if asked and given.route is None else _begun(moved)


def _approved(state: TaskState, event: Event, given: ApprovalGiven) -> TaskState:
    if not given.approved:
        return gates.rejected(_moved(state, event), given)
    approved = _moved(resuming.at_work_again(state, event.time), event)
    return _designed(approved) if given.gate == "design" else _go_on(approved, "deliver")


def _timed_out(state: TaskState, event: Event) -> TaskState:
    moved = _moved(state, event)
    return gates.expired(moved, state.approval) if state.approval else stopping.out_of_time(moved)


def _moved(state: TaskState, event: Event) -> TaskState:
    """The state with the event applied and an empty outbox."""
    applied = state.applied if event.id in state.applied else (*state.applied, event.id)
    return state.model_copy(update={"commands": (), "cause": event.id, "applied": applied, "updated_at": event.time})


def _answered(state: TaskState, result: StepResult, time_to_approve: timedelta) -> TaskState:
    record = record_of(result, tier_for(state, action_of(result.step)))
    state = state.model_copy(update={"history": (*state.history, record)})
    match result.reply.status, result.reply.data:
        case "ok", data:
            return _taken_up(state, result.step, data, time_to_approve)
        case "needs_input", Question() as question:
            return stopping.waiting(state, question)
        case "refused" | "failed", Problem() as problem if action_of(result.step) == "deliver":
            kept = f"{problem.detail.rstrip('.')}. {_KEPT}"
            return stopping.failed(state, problem.model_copy(update={"detail": kept}))
        case "refused" | "failed", Problem() as problem:
            return stopping.failed(state, problem)
        case _:
            said = f"{result.reply.status} with {result.reply.data.type}"
            return stopping.failed(state, _contradiction(result.step, said))


def _taken_up(state: TaskState, step: str, data: ReplyData, time_to_approve: timedelta) -> TaskState:
    """Keep what the step made, and go on."""
    route, action = state.route.route, action_of(step)
    match action, data:
        case "import", ImportedProject(empty=True) if route in NEEDS_CONTENT:
            return stopping.waiting(state.model_copy(update={"imported": data}), _nothing_there(route))
        case "import", ImportedProject(changeset=None) if route == "review":
            return stopping.failed(state, _contradiction("import", "no changeset to review"))
        case "import", ImportedProject(changeset=Changeset()) if route != "review":  # it would pass for a person's
            return stopping.failed(state, _contradiction("import", "a changeset that nobody asked to review"))
        case "import", ImportedProject():
            imported = state.model_copy(update={"imported": data, "changeset": data.changeset})
            return _after(imported, action)
        case "design", SpecWritten():
            return _planned(state, data, time_to_approve)
        case "build", Changeset():
            return _built(state, step, data)
        case "validate", Judgement():
            return _judged(state, data, time_to_approve)
        case "deliver", Delivered():
            return _delivered(state, data)
        case "answer", Answer():
            return stopping.completed(state.model_copy(update={"answer": data}), "The question is answered.")
        case _:
            return stopping.failed(state, _contradiction(action, f"ok with {data.type}"))


def _planned(state: TaskState, spec: SpecWritten, time_to_approve: timedelta) -> TaskState:
    outlines = spec.packages if packages.are_worthwhile(state.route) else ()
    if flaw := packages.flaw_of_plan(outlines):
        return stopping.failed(state, _contradiction("design", flaw))
    designed = state.model_copy(update={"spec": spec, "packages": packages.planned(outlines)})
    if gates.is_shut(designed, "design"):
        return gates.waiting_for_approval(designed, "design", time_to_approve)
    return _designed(designed)


def _built(state: TaskState, step: str, changeset: Changeset) -> TaskState:
    """Of the commit that was imported: a change of a stale one would undo what others have done since."""
    if state.imported is None or changeset.base_sha != state.imported.base_sha:
        said = f"a change of {changeset.base_sha}, which was not imported"
        return stopping.failed(state, _contradiction("build", said))
    of_package = packages.are_built_by(state, step)
    if flaw := packages.flaw_of_merge(changeset, () if of_package else packages.built(state)):
        return stopping.failed(state, _contradiction("build", flaw))
    if not of_package:
        return _merged(state, changeset)
    done = packages.with_result(state, step, changeset)
    return done if done.in_flight else _go_on(done, "build")


def _merged(state: TaskState, changeset: Changeset) -> TaskState:
    """The work so far is this; without packages it is the whole of it."""
    # A verdict speaks only of the changeset beside it.
    merged = packages.with_merge(state, changeset).model_copy(update={"judgement": None})
    return _go_on(merged, "build") if packages.unfinished(merged) else _after(merged, "build")


def _next_packages(state: TaskState) -> TaskState:
    """What is left of the plan: build all that can be built now, or else merge what was."""
    if ready := packages.ready(state):
        return build_packages(state, ready)
    match packages.built(state):
        case (PackageState(changeset=Changeset() as alone),):  # it was built on what is merged, and so contains it
            return _merged(state, alone)
        case _:
            return merge_packages(state)


def _designed(state: TaskState) -> TaskState:
    following = step_after(state.route.route, "design")
    return _go_on(state, following) if following else stopping.completed(state, "The design is written.")


def _after(state: TaskState, action: Action) -> TaskState:
    following = step_after(state.route.route, action)
    assert following, "import and build end no route"
    return _go_on(state, following)


def _judged(state: TaskState, judgement: Judgement, time_to_approve: timedelta) -> TaskState:
    signature = (judgement.failure_signature,) if judgement.failure_signature else ()
    judged = state.model_copy(update={"judgement": judgement, "signatures": (*state.signatures, *signature)})
    reason = stopping.reason_to_stop(state, judgement)
    if reason is None:
        return command(judged, "build")
    if judgement.verdict != "PASS" or state.options.deliver is None:
        return stopping.completed(judged, reason)
    if gates.is_shut(state, "deliver"):
        return gates.waiting_for_approval(judged, "deliver", time_to_approve)
    return _go_on(judged, "deliver")


def _delivered(state: TaskState, delivered: Delivered) -> TaskState:
    """Nothing but what has passed."""
    if state.changeset is None or delivered.head_sha != state.changeset.head_sha:
        return stopping.failed(state, _contradiction("deliver", f"{delivered.head_sha} has not passed"))
    done = f"Passed in round {state.round}, delivered as {delivered.branch} to {delivered.remote}."
    reason = done + _ENDED.get(delivered.merge_request_state or "", "")
    return stopping.completed(state.model_copy(update={"delivered": delivered}), reason)


def _go_on(state: TaskState, action: Action) -> TaskState:
    if stopping.is_late(state):
        return stopping.too_late(state, action)
    return _next_packages(state) if action == "build" and packages.unfinished(state) else command(state, action)


def _no_repository(route: Route) -> Question:
    return Question(
        reason=f"The request was taken for a {route}, which needs a repository, and none was given.",
        missing=("the repository that it is about",),
        hint=f"Submit it again with one: --repo FOLDER or --git-url URL ({_OVER_HTTP}). {_OTHERWISE}",
    )


def _nothing_there(route: Route) -> Question:
    return Question(
        reason=f"The project is empty: there is nothing to {route}.",
        missing=("a repository with content",),
        hint=f"Submit the task again with another repository. {_OTHERWISE}",
    )


def _only_for_review(options: TaskOptions, route: Route) -> Question:
    """A criterion that is asked for and not judged would make the PASS a lie."""
    missing = tuple(f"criterion {criterion.id}: {criterion.statement}" for criterion in options.criteria)
    base = (f"comparison with {options.base}",) if options.base else ()
    return Question(
        reason=f"On route {route} the architect writes the criteria; your own count only on route review.",
        missing=missing + base,
        hint="Put what you want into the request of a new task, or answer with route review to have it judged.",
    )


def _nothing_to_deliver(route: Route) -> Question:
    return Question(
        reason=f"Route {route} makes no branch that could be delivered.",
        missing=("a branch that passed",),
        hint="Submit the task again without options.deliver, or answer with route feature to have something built.",
    )


def _contradiction(where: str, what: str) -> Problem:
    return Problem(code="bad_reply", detail=f"The agent's answer to {where} contradicts itself: {what}.")
