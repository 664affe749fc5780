"""What an operator sees of a dead letter, and what was done about it."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

from pydantic import Field
from worksite.common.messages import DeadLetter, Model

_SEQUENCE = re.compile(r"[1-9][0-9]{0,17}")
_LINE_BREAKS = "\n\r\t"


class Mark(Model):
    """What became of a letter. It stays in DEAD, from which no service may remove anything; the mark closes it."""

    state: Literal["redriven", "purged"]
    principal: str
    at: datetime


class LetterLinks(Model):
    self: str


class LetterView(Model):
    """A message that could not be handled, without its content."""

    sequence: int = Field(description="names the letter")
    state: Literal["open", "redriven"]
    service: str = Field(description="who could not handle it")
    reason: str
    subject: str = Field(description="where the message came from")
    type: str | None = Field(description="of the message, where its envelope says one")
    task: str | None = Field(description="likewise")
    deliveries: int = Field(description="so often it was tried")
    redrive_count: int = Field(description="so often the message was redriven, this letter's redrive included")
    died_at: datetime
    closed_by: str | None = Field(description="who had it redriven")
    closed_at: datetime | None
    links: LetterLinks


class LetterDetail(LetterView):
    """The letter with the message in it."""

    headers: dict[str, str]
    body_encoding: Literal["text", "base64"] = Field(description="text: UTF-8 without control characters")
    body: str


class LetterList(Model):
    """Those that are open, what died first before what died later."""

    letters: tuple[LetterView, ...]
    next: str | None = Field(description="cursor of the page after this one; null: there is none")


def sequence_of(text: str) -> int | None:
    """The number in a path; None for what cannot name a letter."""
    return int(text) if _SEQUENCE.fullmatch(text) else None


def letter_view(sequence: int, letter: DeadLetter, mark: Mark | None) -> LetterView:
    """A line of the list."""
    return LetterView(
        sequence=sequence,
        state="redriven" if mark else "open",
        service=letter.service,
        reason=letter.reason,
        subject=letter.subject,
        type=letter.headers.get("ce-type"),
        task=letter.headers.get("ws-task"),
        deliveries=letter.deliveries,
        redrive_count=letter.redrive_count + (1 if mark else 0),
        died_at=letter.died_at,
        closed_by=mark.principal if mark else None,
        closed_at=mark.at if mark else None,
        links=LetterLinks(self=f"/v1/dead-letters/{sequence}"),
    )


def letter_detail(sequence: int, letter: DeadLetter, mark: Mark | None) -> LetterDetail:
    """All that is known."""
    text = _text(letter.body)
    return LetterDetail(
        **dict(letter_view(sequence, letter, mark)),
        headers=letter.headers,
        body_encoding="base64" if text is None else "text",
        body=letter.body_base64 if text is None else text,
    )


def _text(body: bytes) -> str | None:
    """What a terminal can show as it is; else None."""
    try:
        text = body.decode()
    except UnicodeDecodeError:
        return None
    return text if all(char.isprintable() or char in _LINE_BREAKS for char in text) else None
