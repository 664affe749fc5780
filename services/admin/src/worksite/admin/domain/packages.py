"""Work that is done in packages (ADR 0017): what is built side by side, and what a merge makes of it.

Nothing here knows waves. Whatever can be built is built; when nothing is in flight any more, what was built is merged.
As nothing is merged while something can still be built, all that waits to be merged was built on the same commit.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from worksite.admin.domain.routes import BUILDS
from worksite.common.messages import Changeset, PackageOutline, PackageState, RouteDecision, TaskState

Packages = tuple[PackageState, ...]


def are_worthwhile(decision: RouteDecision) -> bool:
    """May the architect plan packages? Where the work is large and somebody builds it."""
    return decision.difficulty == "hard" and decision.route in BUILDS


def planned(outlines: Sequence[PackageOutline]) -> Packages:
    """None of them begun. A single one is the whole work, which needs no plan."""
    if len(outlines) < 2:
        return ()
    return tuple(PackageState(id=outline.id, title=outline.title, after=outline.after) for outline in outlines)


def flaw_of_plan(outlines: Iterable[PackageOutline]) -> str | None:
    """Why it cannot be carried out to its end, in words; None where it can."""
    earlier: set[str] = set()
    for outline in outlines:
        if outline.id in earlier:
            return f"package {outline.id} is planned twice"
        if unknown := sorted(set(outline.after) - earlier):
            return f"package {outline.id} builds on {', '.join(unknown)}, planned nowhere before it"
        earlier.add(outline.id)
    return None


def flaw_of_merge(changeset: Changeset, parts: Packages) -> str | None:
    """Why this cannot have come of merging these (or of building, where there are none), in words; None where it can.

    Something of a merge always fits: what is merged first has nothing to conflict with.
    """
    left_out = _left_out(changeset)
    if unknown := sorted(left_out - {part.id for part in parts}):
        return f"a conflict of {', '.join(unknown)}, which was not to be merged"
    if parts and len(left_out) == len(parts):
        return "nothing was merged"
    return None


def unfinished(state: TaskState) -> bool:
    """Is something not merged yet?"""
    return not all(package.merged for package in state.packages)


def ready(state: TaskState) -> Packages:
    """To be built now: whatever is not, and builds on nothing but what is merged."""
    merged = {package.id for package in state.packages if package.merged}
    return tuple(package for package in state.packages if _waits(package) and merged.issuperset(package.after))


def _waits(package: PackageState) -> bool:
    return not (package.merged or package.changeset or package.step)


def built(state: TaskState) -> Packages:
    """To be merged, in the order of the plan."""
    return tuple(package for package in state.packages if package.changeset)


def are_built_by(state: TaskState, step: str) -> bool:
    """Is it the step of a package, not one of the whole work?"""
    return any(package.step == step for package in state.packages)


def commanded(packages: Packages, steps: dict[str, str]) -> Packages:
    """With those in flight that have a step, by id."""
    return tuple(_with(package, step=steps.get(package.id, package.step)) for package in packages)


def with_result(state: TaskState, step: str, changeset: Changeset) -> TaskState:
    """The step has built its package."""
    packages = (
        _with(package, step=None, changeset=changeset, conflicts=()) if package.step == step else package
        for package in state.packages
    )
    return state.model_copy(update={"packages": tuple(packages)})


def with_merge(state: TaskState, changeset: Changeset) -> TaskState:
    """All that was built is merged, but for what conflicted: that waits again, to be built on what is merged now by
    somebody who knows where it conflicted."""
    files = {conflict.package: conflict.files for conflict in changeset.conflicts}
    packages = (
        _with(package, changeset=None, merged=package.id not in files, conflicts=files.get(package.id, ()))
        if package.changeset
        else package
        for package in state.packages
    )
    whole = changeset.model_copy(update={"conflicts": ()})  # what was left out is no part of what it is from now on
    return state.model_copy(update={"packages": tuple(packages), "changeset": whole})


def at_rest(packages: Packages) -> Packages:
    """With none in flight; what was built stays."""
    return tuple(_with(package, step=None) for package in packages)


def _left_out(changeset: Changeset) -> set[str]:
    return {conflict.package for conflict in changeset.conflicts}


def _with(package: PackageState, **update: Any) -> PackageState:
    return package.model_copy(update=update)
