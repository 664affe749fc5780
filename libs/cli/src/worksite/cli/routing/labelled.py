"""Labelled requests: what people ask for, and which route and difficulty that is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from worksite.common.errors import Permanent
from worksite.common.messages import Difficulty, Model, Route

Split = Literal["train", "dev", "test", "all"]


class Labelled(Model):
    """One line of the file. `split` follows from a hash of the request, in the tool that trains."""

    request: str
    route: Route
    difficulty: Difficulty
    split: Literal["train", "dev", "test"]


def read_labelled(file: Path) -> list[Labelled]:
    """Raises Permanent, naming the line that does not fit."""
    rows: list[Labelled] = []
    try:
        for number, line in enumerate(file.read_text().splitlines(), 1):
            try:
                rows.append(Labelled.model_validate_json(line))
            except ValidationError as error:
                told = error.errors(include_input=False)[0]
                raise Permanent(f"{file}, line {number}: {'.'.join(map(str, told['loc']))} {told['msg']}") from error
    except (OSError, UnicodeDecodeError) as error:
        raise Permanent(f"{file} cannot be read: {error}") from error
    return rows
