"""Prompts as files, one for each agent: its role, its rules, the form of its reply; its version is its hash."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from worksite.common.errors import Permanent

_HASH_SHOWN = 12


@dataclass(frozen=True)
class Prompt:
    """What an agent is told before anything else."""

    agent: str
    text: str

    @property
    def sha256(self) -> str:
        """The version."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def engine(self, model: str) -> str:
        """How artifacts name what made them: the model, the agent, and the version of its prompt."""
        return f"model:{model}+{self.agent}@{self.sha256[:_HASH_SHOWN]}"


def load_prompt(directory: Path, agent: str) -> Prompt:
    """The agent's file. Raises Permanent for one that cannot be read or is empty."""
    path = directory / f"{agent}.md"
    try:
        text = path.read_text().strip()
    except (OSError, UnicodeError) as error:
        raise Permanent(f"the prompt {path} cannot be read ({error}); PROMPTS_DIR says where they are") from error
    if not text:
        raise Permanent(f"the prompt {path} is empty")
    return Prompt(agent, text)
