"""worksite approve, and the requests that wait for it."""

from pathlib import Path

import pytest

APPROVAL = {"gate": "design", "digest": "ab" * 32, "expires_at": "2026-11-29T12:00:00Z"}


def waiting(gateway):
    return gateway.add_task("needs_input", None, approval=APPROVAL, artifacts=[])


def test_a_run_that_waits_for_an_approver_prints_the_line_that_approves_it(gateway, worksite):
    gateway.after_submit = {"status": "needs_input", "approval": APPROVAL, "artifacts": []}
    done = worksite("run", "auth", "--approve-design")
    *_, line, last = done.stdout.splitlines()
    task = next(iter(gateway.tasks))
    assert gateway.sent("POST", "/v1/tasks")[0]["options"] == {"approve": ["design"]}
    assert line.startswith("approve with: ")
    assert line.endswith(f"approve {task}")
    assert (last, done.exit_code) == (f"NEEDS_INPUT task={task}", 3)


def test_whoever_is_to_approve_is_told_where_the_design_is(gateway, worksite):
    gateway.after_submit = {"status": "needs_input", "approval": APPROVAL, "artifacts": ["spec.md"]}
    done = worksite("run", "auth", "--approve-design")
    task = next(iter(gateway.tasks))
    assert f"the design is in out/{task}/spec.md" in " ".join(done.stderr.split())


def test_an_approval_names_the_digest_that_was_shown_and_the_task_is_followed(gateway, worksite):
    task = waiting(gateway)
    done = worksite("approve", task)
    word = {"gate": "design", "digest": APPROVAL["digest"], "approved": True, "comment": ""}
    assert gateway.sent("POST", f"/v1/tasks/{task}/approval") == [word]
    assert done.stdout.splitlines()[-1].startswith(f"PASS task={task}")


def test_a_rejected_design_ends_the_task_with_the_comment(gateway, worksite):
    task = waiting(gateway)
    done = worksite("approve", task, "--reject", "--comment", "too much")
    [word] = gateway.sent("POST", f"/v1/tasks/{task}/approval")
    assert (word["approved"], word["comment"]) == (False, "too much")
    assert done.exit_code == 1


@pytest.mark.parametrize("status", ["running", "completed"])
def test_where_nothing_waits_for_approval_nothing_is_sent(gateway, worksite, status):
    task = gateway.add_task(status)
    done = worksite("approve", task)
    assert done.stderr == f"worksite: the task is {status} and waits for no approver\n"
    assert gateway.sent("POST", f"/v1/tasks/{task}/approval") == []


def test_no_stack_is_started_to_find_out_what_last_is(worksite, tmp_path):
    done = worksite("approve", "last", "--root", Path(__file__).parents[3])
    assert done.exit_code == 1
    assert "no stack is running" in done.stderr
    assert not (tmp_path / "here" / ".worksite").exists()


def test_the_last_task_is_approved_where_a_stack_runs(gateway, worksite):
    task = waiting(gateway)
    assert worksite("approve", "last").exit_code == 0
    assert len(gateway.sent("POST", f"/v1/tasks/{task}/approval")) == 1
