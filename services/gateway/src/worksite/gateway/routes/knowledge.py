"""/v1/knowledge/documents: what the team knows, to be searched."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from worksite.common.messages.knowledge import DocumentState
from worksite.gateway import problems
from worksite.gateway.auth.access import may, permitted
from worksite.gateway.body import JSON, json_body, json_schema, require_media_type
from worksite.gateway.domain import cursors
from worksite.gateway.domain.documents import (
    AcceptedDocuments,
    DocumentList,
    DocumentView,
    NewDocuments,
    RefusedFile,
    Wanted,
    document_view,
    is_document_id,
)
from worksite.gateway.domain.forms import documents_of
from worksite.gateway.domain.permits import Permit
from worksite.gateway.domain.principal import Principal
from worksite.gateway.forms import MULTIPART, SCHEMA, read_form
from worksite.gateway.gateway import GatewayOf
from worksite.gateway.knowledge import KnowledgeFull
from worksite.gateway.pages import Cursor, Limit, link_next, position

PATH = "/v1/knowledge/documents"
_BODY_SECONDS = 120.0
_CURSOR: cursors.Kind = "document"

router = APIRouter(prefix=PATH, tags=["knowledge"])


@dataclass(frozen=True)
class Submission:
    """What a body holds, JSON or a form."""

    documents: tuple[Wanted, ...]
    refused: tuple[RefusedFile, ...] = ()


_json = json_body(NewDocuments)
_BODY = json_schema(NewDocuments)
_BODY["requestBody"]["content"][MULTIPART] = SCHEMA
Submitter = Annotated[Principal, Depends(may("submitDocuments"))]


async def submission(request: Request, gateway: GatewayOf, caller: Submitter) -> AsyncGenerator[Submission]:
    """Reads a body that may be large, when there is a place for it and while it keeps coming."""
    with gateway.knowledge_places.take(caller.tenant):
        try:
            async with asyncio.timeout(_BODY_SECONDS):
                given = await _read(request)
        except TimeoutError:
            raise problems.too_slow(_BODY_SECONDS) from None
        yield given


async def _read(request: Request) -> Submission:
    if require_media_type(request, JSON, MULTIPART) == JSON:
        return Submission((await _json(request)).documents)
    form = await read_form(request)
    taken, refused = documents_of(form.files, form.folder, form.tags)
    if not taken:
        raise problems.no_file_fits([(file.path, file.message) for file in refused])
    return Submission(taken, refused)


@router.post("", status_code=202, operation_id="submitDocuments", openapi_extra=_BODY)
async def submit(
    gateway: GatewayOf,
    caller: Submitter,
    wanted: Annotated[Submission, Depends(submission)],
) -> AcceptedDocuments:
    """Accept texts to be searched, as JSON or as the files of a form, of which those that do not fit are `refused` and
    the others taken; HTML, PDF and DOCX files are converted later, and fail with a reason where they cannot be. One
    that is there under the same path is replaced. The answer comes when all are stored; after an error the same request
    again finishes what this one began."""
    try:
        entries = await gateway.knowledge.submit(caller.tenant, wanted.documents)
    except KnowledgeFull as error:
        raise problems.knowledge_full() from error
    return AcceptedDocuments(documents=tuple(document_view(entry) for entry in entries), refused=wanted.refused)


@router.get("", operation_id="listDocuments")
async def index(
    request: Request,
    response: Response,
    gateway: GatewayOf,
    caller: Annotated[Principal, Depends(may("listDocuments"))],
    state: Annotated[DocumentState | None, Query(description="only these")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> DocumentList:
    """The tenant's documents, those that changed longest ago first."""
    after = int(position(_CURSOR, cursor) or 0)
    page = await gateway.knowledge.page(caller.tenant, state, after, limit)
    following = None if page.go_on_after is None else cursors.encode(_CURSOR, str(page.go_on_after))
    link_next(request, response, following)
    return DocumentList(documents=tuple(document_view(entry) for entry in page.documents), next=following)


@router.get("/{document_id}", operation_id="readDocument")
async def read(
    document_id: str, gateway: GatewayOf, caller: Annotated[Principal, Depends(may("readDocument"))]
) -> DocumentView:
    """One document: how far it has come, or why it failed."""
    entry = await gateway.knowledge.get(caller.tenant, document_id) if is_document_id(document_id) else None
    if entry is None:
        raise problems.not_found("there is no such document")
    return document_view(entry)


@router.delete("/{document_id}", status_code=202, operation_id="deleteDocument")
async def delete(
    document_id: str, gateway: GatewayOf, permit: Annotated[Permit, Depends(permitted("deleteDocument"))]
) -> DocumentView:
    """Take a document out. It is found until the index has caught up; then it is gone from the list as well."""
    tenant = permit.principal.tenant
    entry = await gateway.knowledge.get(tenant, document_id) if is_document_id(document_id) else None
    if entry:
        await gateway.audit.act("allowed", permit, entry.path)
        entry = await gateway.knowledge.remove(tenant, document_id)
    if entry is None:
        raise problems.not_found("there is no such document")
    return document_view(entry)
