"""Where the command keeps its own files: in Worksite's checkout, never in the repository that it is typed in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.testing import CliRunner
from worksite.cli import places
from worksite.cli.client.refusals import GatewayError
from worksite.cli.client.tasks import resolve, telling
from worksite.cli.main import app
from worksite.cli.stack.state import State

CHECKOUT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def elsewhere(tmp_path, monkeypatch):
    """Somebody's repository, with no setting about ours."""
    for name in ("WORKSITE_ROOT", "WORKSITE_STATE", "WORKSITE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkout(folder):
    for name in ("blueprints", "policies"):
        (folder / name).mkdir(parents=True)
    return folder


def test_elsewhere_the_checkout_is_the_one_that_the_command_was_installed_from():
    assert places.home() == CHECKOUT
    assert (places.state(), places.results()) == (CHECKOUT / ".worksite", CHECKOUT / "out")


def test_in_a_checkout_it_is_that_one_and_names_are_short(elsewhere, monkeypatch):
    monkeypatch.chdir(checkout(elsewhere / "mine"))
    assert places.home() == elsewhere / "mine"
    assert (places.state(), places.results()) == (Path(".worksite"), Path("out"))


def test_a_named_checkout_goes_before_both_and_has_the_state(elsewhere, monkeypatch):
    monkeypatch.setenv("WORKSITE_ROOT", "mine")
    monkeypatch.chdir(checkout(elsewhere / "other"))
    assert places.state() == elsewhere / "other" / "mine" / ".worksite"


@pytest.mark.parametrize("command", [["apply", "last", "."], ["watch", "last"], ["tasks"], ["answer", "last", "yes"]])
def test_a_command_about_a_running_stack_needs_no_root_in_somebodys_folder(gateway, elsewhere, command):
    done = CliRunner().invoke(app, command)
    assert "there is no task yet" in done.output or "no tasks" in done.output
    assert list(elsewhere.iterdir()) == []


def test_a_root_that_is_none_is_refused_by_what_it_lacks(elsewhere):
    done = CliRunner().invoke(app, ["run", "x", "--root", str(elsewhere), "--state", str(elsewhere / "s")])
    assert done.exit_code == 2
    assert "WORKSITE_ROOT" in done.output
    assert list(elsewhere.iterdir()) == []


def test_a_stack_that_is_about_to_start_is_told_from_none(elsewhere):
    state = State(elsewhere / "s")
    held = state.lock()
    try:
        done = CliRunner().invoke(app, ["tasks", "--state", str(state.root)])
    finally:
        os.close(held)
    assert done.exit_code == 1
    assert "not ready yet" in done.output


def test_so_many_digits_are_asked_for_as_tell_tasks_apart():
    assert telling(["01a2084a" + "0" * 24, "01a2084a" + "01" + "0" * 22, "01a2084b" + "0" * 24]) == 10


@pytest.mark.asyncio
async def test_an_ambiguous_beginning_is_answered_with_the_digits_that_it_takes():
    class Two:
        async def tasks(self, *_):
            for last in "ba":
                yield {"id": f"01a2084a5{last}" + "0" * 22}

    with pytest.raises(GatewayError, match="give 10 digits"):
        await resolve(Two(), "01a2084a")
