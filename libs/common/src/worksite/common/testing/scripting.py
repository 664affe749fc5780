"""Scripts of agents, and a provider that speaks them in a process of its own, for tests of whole stacks."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from worksite.common.llm import Prices, Reply, Script, Text, ToolUse, Usage
from worksite.common.llm.pricing import micro_usd

Books = Sequence[tuple[str, Usage]]
"""Of each response the model and what was billed."""


def said(data: Mapping[str, Any], action: str, agent: str) -> Reply:
    """An agent's answer."""
    return Reply.saying(json.dumps({"action": action, "agent": agent, "status": "ok", "data": data}))


def reviewed(*remarks: Mapping[str, Any]) -> Reply:
    """A reviewer's answer: it has these findings."""
    return said({"type": "reviewed", "findings": remarks}, "validate", "validator")


def used(*uses: tuple[str, dict[str, Any]]) -> Reply:
    """A turn of tools, by name and input. Ids must differ within one turn only, and here they say what is used."""
    parts = [ToolUse(id=f"toolu_{n}_{name}", name=name, input=given) for n, (name, given) in enumerate(uses)]
    return Reply(content=(Text(text="I look and write."), *parts))


@dataclass
class Provider:
    """A running server of the Messages API; `url` belongs into ANTHROPIC_BASE_URL."""

    url: str
    log: Path
    read: int = 0

    def books(self) -> Books:
        """What was billed since this was last asked."""
        lines = self.log.read_text().splitlines()[1:]
        new, self.read = lines[self.read :], len(lines)
        return [(line["model"], Usage.model_validate(line["usage"])) for line in map(json.loads, new)]


@contextlib.contextmanager
def provider(folder: Path, script: Script) -> Generator[Provider]:
    """A strict server that knows this script, until the end of the block."""
    (folder / "script.json").write_text(script.model_dump_json())
    command = [sys.executable, "-m", "worksite.common.testing.messages_api", str(folder / "script.json")]
    log = folder / "books"
    with log.open("w") as books, subprocess.Popen(command, stdout=books, text=True) as process:
        try:
            while not (lines := log.read_text().splitlines()):
                assert process.poll() is None, "the server ended at its start"
            yield Provider(lines[0], log)
        finally:
            process.terminate()


def costs_agree(cost: Mapping[str, Any], books: Books) -> None:
    """A task's `cost.json` says what the provider has: token by token, class by class, and in dollars of today."""
    assert _told(cost) == _billed(books)
    prices = Prices.shipped(datetime.now(UTC).date())
    assert round(cost["total_usd"] * 1e6) == sum(micro_usd(prices.cost(model, usage)) for model, usage in books)


def _told(cost: Mapping[str, Any]) -> Counter[str]:
    told = Counter[str]()
    for use in (use for part in (cost["routing"], *cost["steps"]) for use in part["models"]):
        told.update(use["input_tokens"] | {"output": use["output_tokens"], "calls": use["calls"]})
    return told


def _billed(books: Books) -> Counter[str]:
    billed = Counter[str]()
    for _, usage in books:
        billed.update({
            "uncached": usage.input_tokens, "cached": usage.cache_read_tokens, "output": usage.output_tokens,
            "written_5m": usage.cache_write_5m_tokens, "written_1h": usage.cache_write_1h_tokens, "calls": 1,
        })  # fmt: skip
    return billed
