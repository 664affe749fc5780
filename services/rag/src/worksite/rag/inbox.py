"""`IndexDocuments` from the stream WORK.

A message is acknowledged as soon as its documents are in the backlog. It is only a hint: until a document is done its
row says so, and a process that dies before is followed by one that looks at all rows. So a tenant with thousands of
documents holds none of the consumer's places while they are embedded, and others have their turn.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from pydantic import ValidationError
from worksite.common import subjects
from worksite.common.bus import Bus, Delivery, Envelope
from worksite.common.dead_letters import bury
from worksite.common.errors import MalformedMessage, UnknownMessageType
from worksite.common.ids import SHARED_TENANT
from worksite.common.messages import BY_CE_TYPE, IndexDocuments
from worksite.rag.backlog import Backlog

UNKNOWN_TYPE_DELAY_SECONDS = 30.0


def inbox(bus: Bus, backlog: Backlog) -> Callable[[Delivery], Awaitable[None]]:
    """The handler of rag's consumer."""

    async def handle(delivery: Delivery) -> None:
        try:
            hint = parse(delivery)
        except MalformedMessage as error:
            await bury(bus, "rag", delivery, str(error))
        except UnknownMessageType:
            await delivery.hand_back(UNKNOWN_TYPE_DELAY_SECONDS)
        else:
            for document in hint.documents:
                backlog.add(hint.tenant, document)
            await delivery.ack()

    return handle


def parse(delivery: Delivery) -> IndexDocuments:
    """Raises MalformedMessage (to be dead-lettered) or UnknownMessageType (to be handed back)."""
    envelope = Envelope.from_headers(delivery.headers)
    if envelope.type not in BY_CE_TYPE:
        raise UnknownMessageType(f"{envelope.type} is not known to this version")
    if envelope.type != IndexDocuments.ce_type():
        raise MalformedMessage(f"{envelope.type} is nothing that rag handles")
    try:
        hint = IndexDocuments.consume(delivery.data)
    except ValidationError as error:
        raise MalformedMessage(f"{envelope.type}: {error}") from error
    if hint.tenant != envelope.tenant or delivery.subject != subjects.work_subject("rag", hint.tenant):
        raise MalformedMessage("subject, envelope and body name different tenants")
    if hint.tenant == SHARED_TENANT:
        raise MalformedMessage(f"the documents of tenant {SHARED_TENANT} come from folders only")
    return hint
