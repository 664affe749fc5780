"""Files of a form that become documents, each by itself: what does not fit is told and stops no other."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from pydantic import ValidationError
from worksite.common.messages.knowledge import is_converted
from worksite.gateway.domain.documents import NewDocument, NewFile, RefusedFile, Wanted

_MAX_SHOWN = 400


@dataclass(frozen=True)
class FormFile:
    """A part of the form that has a file name."""

    name: str
    content: bytes


def documents_of(
    files: Iterable[FormFile], folder: str, tags: tuple[str, ...]
) -> tuple[tuple[Wanted, ...], tuple[RefusedFile, ...]]:
    """A document is named by its folder and its file's name. Of two with one name the second is refused."""
    taken: dict[str, Wanted] = {}
    refused: list[RefusedFile] = []
    for file in files:
        path = f"{folder.rstrip('/')}/{file.name}" if folder else file.name
        try:
            if path in taken:
                raise ValueError("another file of this form has the same path")
            taken[path] = _document(path, file.content, tags)
        except ValueError as error:
            refused.append(RefusedFile(path=path[:_MAX_SHOWN], message=_reason(error)))
    return tuple(taken.values()), tuple(refused)


def _document(path: str, content: bytes, tags: tuple[str, ...]) -> Wanted:
    if not is_converted(path):
        return NewDocument(path=path, text=_text(content), tags=tags)
    if not content:
        raise ValueError("empty")
    return NewFile(path=path, content=content, tags=tags)


def _text(content: bytes) -> str:
    if b"\0" in content:
        raise ValueError("binary: only text, HTML, PDF and DOCX can be sent, and their names have to say so")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ValueError(f"not UTF-8 text: {error.reason} at byte {error.start}") from None


def _reason(error: ValueError) -> str:
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    return first["msg"].removeprefix("Value error, ")
