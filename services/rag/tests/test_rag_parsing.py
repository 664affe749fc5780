"""Source code is parsed in a process of its own, which a file may break but not the service."""

from __future__ import annotations

import gc
import os

import pytest
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
    assert CodeParser(seconds=0.0).sections(PYTHON, "python") == []


def test_process_ends_with_the_parser() -> None:
    parser = CodeParser()
    parser.sections("x = 1\n", "python")
    assert parser._process
    pid = parser._process.pid
    del parser
    gc.collect()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


@pytest.mark.asyncio
async def test_document_that_crashes_its_grammar_is_indexed_without_it(indexer: Indexer) -> None:
    chunks = await indexer.put("acme", Document("deploy.yaml", f"{CRASHES}\n\nname: x\n", "code", language="yaml"))
    assert chunks > 1
    assert (await indexer.store.counts())["acme"] == {"deploy.yaml": chunks}
