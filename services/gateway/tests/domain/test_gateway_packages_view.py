"""What a client sees of work that is done in packages."""

from __future__ import annotations

import pytest
from worksite.common.messages import PackageState, TaskEntry
from worksite.common.testing import examples
from worksite.gateway.domain.views import TaskView, task_view

BUILT = PackageState(id="built", title="Built", changeset=examples.changeset())
BUILDING = PackageState(id="building", title="Building", step="4-build")
BESIDE = PackageState(id="beside", title="Beside it", step="5-build")
WAITING = PackageState(id="waiting", title="Waiting", after=("built", "building"))
MERGED = PackageState(id="merged", title="Merged", merged=True)


def view_of(*packages: PackageState, step: str | None = None) -> TaskView:
    state = examples.task_state().model_copy(update={"packages": packages, "step": step})
    return task_view(TaskEntry(state=state, submitted=examples.submit_task(), sequence=7))


@pytest.mark.parametrize(
    ("package", "status", "step"),
    [
        (WAITING, "waiting", None),
        (BUILDING, "building", "4-build"),
        (BUILT, "built", None),
        (MERGED, "merged", None),
    ],
)
def test_a_package_says_how_far_it_is(package: PackageState, status: str, step: str | None) -> None:
    (shown,) = view_of(package).packages

    assert (shown.id, shown.title, shown.after) == (package.id, package.title, package.after)
    assert (shown.status, shown.step) == (status, step)


def test_packages_stand_in_the_order_of_merging_and_the_first_in_flight_is_the_step() -> None:
    view = view_of(BUILT, BUILDING, WAITING, BESIDE)

    assert [package.id for package in view.packages] == ["built", "building", "waiting", "beside"]
    assert view.step == "4-build"


def test_the_step_that_merges_is_the_step_in_flight() -> None:
    assert view_of(BUILT, MERGED, step="6-build").step == "6-build"


def test_work_of_one_piece_has_no_packages_and_neither_has_a_task_that_waits_to_be_taken_up() -> None:
    assert view_of(step="3-build").packages == ()
    assert task_view(TaskEntry(state=None, submitted=examples.submit_task(), sequence=0)).packages == ()
