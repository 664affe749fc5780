"""The server of the Messages API as a program: its example, and what it says of what it cannot use."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from worksite.common.llm import Prices, Script, Text
from worksite.common.testing import messages_api

COMMAND = [sys.executable, "-m", "worksite.common.testing.messages_api"]
EXAMPLE = Path(messages_api.__file__).with_name("example.json")
MODELS = Path(__file__).parents[4] / "docs" / "models.md"


def said(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        (None, "No such file or directory"),
        ("{", "no script: Invalid JSON"),
        ('{"conversations": [{"opening": "x"}]}', "no script: conversations.0.replies: Field required"),
    ],
)
def test_a_script_that_cannot_be_used_is_refused_in_one_line(tmp_path: Path, text: str | None, problem: str) -> None:
    script = tmp_path / "script.json"
    if text is not None:
        script.write_text(text)

    done = said(str(script))

    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert problem in done.stderr


def test_the_help_explains_every_option_and_names_the_key() -> None:
    text = " ".join(said("--help").stdout.split())

    for part in ("sk-test", "--port PORT default: any free one", "429", "docs/models.md", "what is said in which"):
        assert part in text


def test_the_document_shows_prices_and_a_script_and_names_the_openings_of_the_example(tmp_path: Path) -> None:
    """The example itself is followed by a whole stack in `tests/e2e` (the fixture `delivering`)."""
    text = MODELS.read_text()
    prices, script = re.findall(r"```json\n(.*?)```", text, re.DOTALL)

    (tmp_path / "prices.json").write_text(prices)
    assert Prices.shipped(date(2026, 11, 23), tmp_path / "prices.json").row("my-llama")
    assert Script.model_validate_json(script).conversations
    example = Script.model_validate_json(EXAMPLE.read_text())
    for conversation in example.conversations:
        assert f"`{conversation.opening.removesuffix('.')}" in text
    last = [conversation.replies[-1].content[0] for conversation in example.conversations]
    assert [json.loads(part.text)["agent"] for part in last if isinstance(part, Text)] == [
        "architect",
        "builder",
        "validator",
    ]
