"""What a model answers when it has built."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from worksite.common.messages import Model, Problem


class Built(Model):
    """The work is in the files; this is what a person should know of it."""

    type: Literal["built"]
    summary: str = Field(min_length=1, max_length=2000)


class BuildAnswer(Model):
    """The four fields of every agent's answer, in the form that a model gives them."""

    action: Literal["build"]
    agent: Literal["builder"]
    status: Literal["ok", "refused", "failed"]
    data: Built | Problem


def contradiction(answer: BuildAnswer) -> str | None:
    """Why status and data do not go together, if they do not."""
    if (answer.status == "ok") == isinstance(answer.data, Built):
        return None
    return f"status {answer.status} does not go with data of type {answer.data.type}"
