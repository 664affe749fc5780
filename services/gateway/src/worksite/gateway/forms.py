"""`multipart/form-data` (RFC 7578), read while it streams in and kept in memory: the body's own limit bounds it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from fastapi import Request
from pydantic import TypeAdapter, ValidationError
from python_multipart.multipart import parse_options_header
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from worksite.common.messages.knowledge import Tags
from worksite.gateway import problems
from worksite.gateway.domain.documents import MAX_DOCUMENTS
from worksite.gateway.domain.forms import FormFile

MULTIPART = "multipart/form-data"
_MAX_FIELDS = 30
_MAX_FIELD_BYTES = 1024
_TAGS: TypeAdapter[tuple[str, ...]] = TypeAdapter(Tags)
SCHEMA: Mapping[str, object] = {
    "schema": {
        "type": "object",
        "required": ["files"],
        "additionalProperties": False,
        "properties": {
            "files": {"type": "array", "items": {"type": "string", "format": "binary"}, "maxItems": MAX_DOCUMENTS},
            "folder": {"type": "string", "description": "put in front of the files' names"},
            "tags": {"type": "array", "items": {"type": "string"}, "description": "of every file; may be repeated"},
        },
    }
}


class _InMemory(MultiPartParser):
    spool_max_size = 0  # never: what has no file on a disk leaves none behind
    is_whole = False

    def on_end(self) -> None:
        """The last boundary has come."""
        self.is_whole = True


@dataclass(frozen=True)
class Form:
    """The files and fields of a form of documents."""

    files: tuple[FormFile, ...]
    folder: str
    tags: tuple[str, ...]


async def read_form(request: Request) -> Form:
    """Raises a 400 problem for what is no form, a 422 problem for fields that do not fit."""
    _require_utf8(request)
    parser = _InMemory(
        request.headers,
        request.stream(),
        max_files=MAX_DOCUMENTS,
        max_fields=_MAX_FIELDS,
        max_part_size=_MAX_FIELD_BYTES,
    )
    try:
        form = await parser.parse()
    except MultiPartException as error:
        raise problems.malformed("malformed-form", f"the form cannot be read: {error.message}") from error
    try:
        if not parser.is_whole:
            raise problems.malformed("malformed-form", "the form cannot be read: it ends before its last boundary")
        return await _form(form)
    finally:
        await form.close()


def _require_utf8(request: Request) -> None:
    """Another charset is one of Python's codecs to the parser, some of which fail or make what is no Unicode."""
    _, parameters = parse_options_header(request.headers.get("content-type"))
    charset = parameters.get(b"charset", b"utf-8")
    if charset.lower() not in (b"utf-8", b"us-ascii"):
        raise problems.malformed("malformed-form", "the form cannot be read: its charset has to be UTF-8")


async def _form(form: FormData) -> Form:
    files: list[FormFile] = []
    fields: dict[str, list[str]] = {"folder": [], "tags": []}
    for name, value in form.multi_items():
        if isinstance(value, UploadFile) and name == "files":
            files.append(FormFile(value.filename or "", await value.read()))
        elif isinstance(value, str) and name in fields:
            fields[name].append(value)
        else:
            raise problems.does_not_fit(name, "a form has files (with file names), tags and a folder")
    return _checked(tuple(files), fields["folder"], fields["tags"])


def _checked(files: tuple[FormFile, ...], folders: list[str], tags: list[str]) -> Form:
    if not files:
        raise problems.does_not_fit("files", "send at least one file")
    if len(folders) > 1:
        raise problems.does_not_fit("folder", "one folder at most")
    try:
        return Form(files, "".join(folders), _TAGS.validate_python(tuple(tags)))
    except ValidationError as error:
        raise problems.does_not_fit("tags", error.errors(include_input=False)[0]["msg"]) from error
