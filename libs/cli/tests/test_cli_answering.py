"""worksite answer, and the names by which tasks are called."""

import pytest

QUESTION = {"reason": "more than is covered", "covered": ["login"], "missing": ["oauth"], "hint": "ask for less"}


def asking(gateway):
    return gateway.add_task("needs_input", None, question=QUESTION, artifacts=["cost.json"])


def test_a_run_that_needs_input_prints_the_line_that_answers_it(gateway, worksite):
    gateway.after_submit = {"status": "needs_input", "question": QUESTION, "artifacts": []}
    done = worksite("run", "auth with oauth")
    *_, line, last = done.stdout.splitlines()
    task = next(iter(gateway.tasks))
    assert (last, done.exit_code) == (f"NEEDS_INPUT task={task}", 3)
    assert line.startswith("answer with: ")
    assert line.endswith(f"answer {task} 'your answer'")


def test_an_answer_is_sent_and_the_task_followed_to_its_end(gateway, worksite):
    task = asking(gateway)
    done = worksite("answer", task, "without oauth", "--route", "design")
    assert gateway.sent("POST", f"/v1/tasks/{task}/input") == [{"text": "without oauth", "route": "design"}]
    assert done.stdout.splitlines()[-1] == f"PASS task={task} out=out/{task}"
    assert done.exit_code == 0


def test_a_task_that_asks_again_ends_as_before(gateway, worksite):
    task = asking(gateway)
    gateway.after_input = {"status": "needs_input", "question": QUESTION | {"reason": "still too much"}}
    done = worksite("answer", task, "with saml")
    assert "still too much" in done.stdout
    assert done.exit_code == 3


def test_what_a_task_needed_is_gone_from_its_folder_when_it_was_answered(gateway, worksite, tmp_path):
    task = asking(gateway)
    worksite("watch", task)
    note = tmp_path / "here" / "out" / task / "needs_input.md"
    assert note.exists()
    worksite("answer", task, "without oauth")
    assert not note.exists()


def test_watching_goes_past_a_question_that_was_answered(gateway, worksite):
    task = asking(gateway)
    gateway.happen(task, status="running", question=None)
    gateway.happen(task, status="completed", verdict="PASS")
    assert worksite("watch", task).stdout.splitlines()[-1].startswith("PASS")


def test_a_task_that_asks_nothing_cannot_be_answered(gateway, worksite):
    done = worksite("answer", gateway.add_task(), "thanks")
    assert (done.exit_code, done.stderr) == (1, "worksite: Nothing asked: the task is completed\n")


def test_a_task_may_be_called_by_the_beginning_of_its_id(gateway, worksite):
    ids = [gateway.add_task() for _ in range(8)]
    assert worksite("watch", ids[2][:12]).stdout.splitlines()[-1].startswith(f"PASS task={ids[2]}")


def test_the_newest_task_is_called_last(gateway, worksite):
    ids = [gateway.add_task() for _ in range(8)]
    assert worksite("watch", "last").stdout.splitlines()[-1].startswith(f"PASS task={ids[7]}")


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("01a2044c", "could be"),
        ("ffffffff", "there is no task"),
        ("01a204", "names no task"),
        ("LAST", "names no task"),
    ],
)
def test_a_name_that_is_not_one_task_is_refused(gateway, worksite, name, said):
    gateway.add_task()
    gateway.add_task()
    done = worksite("cancel", name)
    assert done.exit_code == 1
    assert said in done.stderr


def test_without_tasks_there_is_no_last_one(gateway, worksite):
    assert worksite("watch", "last").stderr == "worksite: there is no task yet\n"


@pytest.mark.parametrize(
    "command",
    [
        ("run", " "),
        ("submit", ""),
        ("run", "Build it", "--route", "repair"),
        ("answer", "last", ""),
        ("tasks", "--route", "x"),
    ],
)
def test_what_cannot_be_meant_is_wrong_usage_before_anything_is_sent(gateway, worksite, command):
    assert worksite(*command).exit_code == 2
    assert gateway.requests == []
