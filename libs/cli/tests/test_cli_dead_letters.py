"""worksite dlq: an operator sees what died and why, has it handled again, or gives it up."""

from urllib.parse import parse_qs

import pytest


def test_open_letters_are_listed_a_line_each_over_all_pages(gateway, worksite):
    for number in range(5):
        gateway.add_letter(redrive_count=number)
    listed = worksite("dlq", "ls")
    lines = listed.stdout.splitlines()
    assert listed.exit_code == 0, listed.stderr
    assert [line.split()[0] for line in lines] == ["1", "2", "3", "4", "5"]
    assert lines[0].split() == ["1", "2026-11-22T12:00:00", "builder", "build_change", "reason", "1"]
    assert "(redriven 4x)" in lines[4]


def test_letters_of_one_service_can_be_listed(gateway, worksite):
    gateway.add_letter("builder")
    gateway.add_letter("rag")
    assert [line.split()[2] for line in worksite("dlq", "ls", "--service", "rag").stdout.splitlines()] == ["rag"]


def test_no_letters_are_said_to_be_none(gateway, worksite):
    done = worksite("dlq", "ls")
    assert (done.exit_code, done.stdout, done.stderr) == (0, "", "no dead letters\n")


def test_a_poisoned_letter_does_not_drive_the_terminal(gateway, worksite):
    gateway.add_letter(reason="\x1b[2Jgone\n99 forged line", type=None, headers={"x": "\x1b]0;title\x07"})
    for command in ("ls", "show"):
        out = worksite("dlq", command, *([1] if command == "show" else [])).stdout
        assert "\x1b" not in out
        assert "\n99 forged" not in out
    assert "unreadable" in worksite("dlq", "ls").stdout


def test_a_letter_is_shown_with_its_message(gateway, worksite):
    letter = gateway.add_letter(body='{"a": 1}')
    shown = worksite("dlq", "show", letter).stdout
    assert "reason         reason 1\n" in shown
    assert 'headers        {"ce-id": "e1"}\n' in shown
    assert shown.endswith('body (text):\n{"a": 1}\n')


def test_a_letter_is_redriven(gateway, worksite):
    letter = gateway.add_letter()
    done = worksite("dlq", "redrive", letter)
    assert (done.exit_code, done.stdout) == (0, "redriven 1\n")
    assert gateway.letters[letter]["state"] == "redriven"
    assert worksite("dlq", "ls").stdout == ""


def test_one_refusal_is_told_and_keeps_no_other_letter_back(gateway, worksite):
    gateway.add_letter(refusal="its task is failed: submit the request again as a new task")
    other = gateway.add_letter()
    done = worksite("dlq", "redrive", 1, other, 99)
    assert done.exit_code == 1
    assert done.stdout == "redriven 2\n"
    assert "1: Letter was not redriven: its task is failed: submit the request again as a new task" in done.stderr
    assert "99: Not found" in done.stderr


def test_letters_are_purged(gateway, worksite):
    letter = gateway.add_letter()
    assert worksite("dlq", "purge", letter).stdout == "purged 1\n"
    assert gateway.letters == {}
    assert worksite("dlq", "purge", letter).exit_code == 1


@pytest.mark.parametrize("arguments", [("show", "x"), ("redrive",), ("purge", "0")])
def test_what_is_no_letter_is_refused_before_anything_is_asked(gateway, worksite, arguments):
    gateway.add_letter()
    assert worksite("dlq", *arguments).exit_code == 2
    assert gateway.requests == []


def test_an_operators_token_is_asked_for_and_a_developers_elsewhere(gateway, worksite, monkeypatch):
    monkeypatch.delenv("WORKSITE_TOKEN")
    monkeypatch.setenv("WORKSITE_CLIENT_SECRET", "s")
    worksite("dlq", "ls", "--tenant", "team")
    worksite("tasks")
    asked = [parse_qs(body.decode()) for body in gateway.sent("POST", "/oauth/token")]
    assert [(form["tenant"], form["role"]) for form in asked] == [(["team"], ["operator"]), (["local"], ["developer"])]
