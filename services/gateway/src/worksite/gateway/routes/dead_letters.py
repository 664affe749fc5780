"""/v1/dead-letters: what could not be handled, for operators."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response
from worksite.common.subjects import Service
from worksite.gateway import problems
from worksite.gateway.auth.access import may, permitted
from worksite.gateway.dead_letters import Letter, NotRedriven
from worksite.gateway.domain import cursors
from worksite.gateway.domain.letters import LetterDetail, LetterList, letter_detail, letter_view, sequence_of
from worksite.gateway.domain.permits import Permit
from worksite.gateway.domain.principal import Principal
from worksite.gateway.gateway import GatewayOf
from worksite.gateway.pages import Cursor, Limit, link_next, position

_CURSOR: cursors.Kind = "letter"

router = APIRouter(prefix="/v1/dead-letters", tags=["dead letters"])


async def letter_number(sequence: str) -> int:
    """Raises a 404 problem for what cannot name a letter."""
    if (number := sequence_of(sequence)) is None:
        raise _unknown()
    return number


Number = Annotated[int, Depends(letter_number)]


@router.get("", operation_id="listDeadLetters")
async def oldest(
    request: Request,
    response: Response,
    gateway: GatewayOf,
    caller: Annotated[Principal, Depends(may("listDeadLetters"))],
    service: Annotated[Service | None, Query(description="only those of this service")] = None,
    limit: Limit = 50,
    cursor: Cursor = None,
) -> LetterList:
    """The tenant's dead letters that nothing was done about yet, oldest first."""
    after = int(position(_CURSOR, cursor) or 0)
    page = await gateway.dead_letters.page(caller.tenant, service or "*", after, limit)
    following = None if page.go_on_after is None else cursors.encode(_CURSOR, str(page.go_on_after))
    link_next(request, response, following)
    views = (letter_view(found.sequence, found.letter, None) for found in page.letters)
    return LetterList(letters=tuple(views), next=following)


@router.get("/{sequence}", operation_id="readDeadLetter")
async def read(
    gateway: GatewayOf, caller: Annotated[Principal, Depends(may("readDeadLetter"))], number: Number
) -> LetterDetail:
    """One letter with its message."""
    return _detail(await gateway.dead_letters.get(caller.tenant, number))


@router.post("/{sequence}/redrive", status_code=202, operation_id="redriveDeadLetter")
async def redrive(
    gateway: GatewayOf, permit: Annotated[Permit, Depends(permitted("redriveDeadLetter"))], number: Number
) -> LetterDetail:
    """Have the message handled again, once: the same request again changes nothing. If it dies again, there is a new
    letter with a higher `redrive_count`."""
    try:
        return _detail(await gateway.dead_letters.redrive(permit, number))
    except NotRedriven as error:
        raise problems.ProblemError(409, "not-redriven", "Letter was not redriven", str(error)) from error


@router.delete("/{sequence}", status_code=204, operation_id="purgeDeadLetter")
async def purge(
    gateway: GatewayOf, permit: Annotated[Permit, Depends(permitted("purgeDeadLetter"))], number: Number
) -> None:
    """Give a letter up. Nobody sees it here any more; the bus forgets it 30 days after the message died."""
    if not await gateway.dead_letters.purge(permit, number):
        raise _unknown()


def _detail(letter: Letter | None) -> LetterDetail:
    if letter is None:
        raise _unknown()
    return letter_detail(letter.buried.sequence, letter.buried.letter, letter.mark)


def _unknown() -> problems.ProblemError:
    return problems.not_found("there is no such dead letter")
