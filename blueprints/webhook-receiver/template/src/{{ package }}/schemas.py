"""Response bodies."""

import base64
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from .models import State

Base64 = Annotated[
    bytes, PlainSerializer(lambda body: base64.b64encode(body).decode(), return_type=str)
]


class _Response(BaseModel):
    model_config = ConfigDict(from_attributes=True, frozen=True)


class AcceptedOut(_Response):
    """The delivery is stored. Sent again, it gets this answer again."""

    source: str
    delivery_id: str
    received_at: datetime


class DeliverySummaryOut(_Response):
    """A delivery in a list."""

    id: int
    source: str
    delivery_id: str
    state: State
    received_at: datetime
    finished_at: datetime | None
    attempt_number: int = Field(description="How many attempts were begun, redrives included.")
    redrives: int
    result: str | None = Field(description="What the handler returned.")
    error: str | None = Field(description="Why the last attempt failed.")


class AttemptOut(_Response):
    """One call of the handler."""

    number: int
    started_at: datetime
    finished_at: datetime | None
    error: str | None
    retry_at: datetime | None = Field(description="When the delivery was due again.")


class DeliveryOut(DeliverySummaryOut):
    """A delivery with everything that is known of it."""

    content_type: str | None
    body: Base64 = Field(description="In base64; empty when the delivery was purged.")
    attempts: list[AttemptOut]


class DeliveriesOut(_Response):
    """Deliveries, newest first. ``next`` is the value of ``before`` for the following page."""

    deliveries: list[DeliverySummaryOut]
    next: int | None


class CountOut(_Response):
    """How many dead letters were changed."""

    count: int


class HealthOut(_Response):
    """The service answers and so does its database."""

    status: Literal["ok"] = "ok"


class ProblemOut(_Response):
    """An error (RFC 9457); ``code`` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
