"""Source code is parsed in a process of its own, which a file may break but not the service."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading

import pytest
from worksite.rag import parsing
from worksite.rag.domain.code import code_sections
from worksite.rag.domain.documents import Document
from worksite.rag.index import Indexer
from worksite.rag.parsing import CodeParser

PYTHON = "class Shop:\n" + "".join(f"    def total_{n}(self):\n        return {'1 + ' * 60}{n}\n\n" for n in range(4))
CRASHES = "? " * 10_000
"""Kills the process that parses it as YAML: the grammar keeps its nesting in a buffer of fixed size."""


def test_sections_are_those_that_the_grammar_finds() -> None:
    assert CodeParser().sections(PYTHON, "python") == code_sections(PYTHON, "python") != []
    assert CodeParser().sections("x", "klingon") == []


def test_file_that_crashes_its_grammar_has_no_sections_and_the_next_file_has(caplog: pytest.LogCaptureFixture) -> None:
    parser = CodeParser()
    assert parser.sections(CRASHES, "yaml") == []
    assert "broke its parser" in caplog.text
    assert parser.sections(PYTHON, "python") == code_sections(PYTHON, "python")


def test_file_that_takes_too_long_is_given_up() -> None:
    assert CodeParser(seconds=1e-6).sections(PYTHON, "python") == []


def test_file_that_a_process_was_lost_at_is_asked_of_a_fresh_one(caplog: pytest.LogCaptureFixture) -> None:
    parser = CodeParser()
    parser.sections("x = 1\n", "python")
    assert parser._child
    first = parser._child.process
    first.kill()  # as the kernel does for want of memory
    first.wait()
    assert parser.sections(PYTHON, "python") == code_sections(PYTHON, "python")
    assert "broke its parser" not in caplog.text


def test_no_timer_that_may_not_start_or_fire_at_the_next_file_guards_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    assert CodeParser().sections(PYTHON, "python") == code_sections(PYTHON, "python")


def test_process_that_cannot_be_started_is_an_os_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "_COMMAND", ("/nowhere",))
    with pytest.raises(FileNotFoundError):
        CodeParser().sections(PYTHON, "python")


ENDLESS = """
from itertools import repeat
from worksite.rag import parsing
import sys
parsing.SECONDS = 0.0
parsing.code_sections = lambda text, language: sum(repeat(0))  # in C, which sees no exception and lets no thread run
parsing.serve(sys.stdin.buffer, sys.stdout.buffer)
"""


def test_process_at_a_grammar_that_never_returns_ends_by_itself() -> None:
    ours, theirs = socket.socketpair()
    command, channel = [sys.executable, "-c", ENDLESS], theirs.fileno()
    with ours, theirs, subprocess.Popen(command, stdin=channel, stdout=channel) as process:
        ours.sendall(json.dumps(["", "python"]).encode() + b"\n")
        try:
            assert process.wait(60) == -signal.SIGALRM
        finally:
            process.kill()


ALARM_LEFT = """
import signal, sys
from worksite.rag.parsing import serve
serve(sys.stdin.buffer, sys.stdout.buffer)
print(signal.alarm(0))
"""


def test_process_that_waits_for_the_next_file_has_all_the_time() -> None:
    question = json.dumps(["x = 1\n", "klingon"])
    said = subprocess.run(
        [sys.executable, "-c", ALARM_LEFT], input=question, capture_output=True, text=True, check=True
    )
    assert said.stdout.split() == ["[]", "0"]


def test_process_ends_with_the_parser() -> None:
    parser = CodeParser()
    parser.sections("x = 1\n", "python")
    assert parser._child
    pid = parser._child.process.pid
    del parser
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.asyncio
async def test_document_that_crashes_its_grammar_is_indexed_without_it(indexer: Indexer) -> None:
    chunks = await indexer.put("acme", Document("deploy.yaml", f"{CRASHES}\n\nname: x\n", "code", language="yaml"))
    assert chunks > 1
    assert (await indexer.store.counts())["acme"] == {"deploy.yaml": chunks}
