"""What responses have in common."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict


class Output(BaseModel):
    """A response body."""

    model_config = ConfigDict(from_attributes=True, frozen=True, extra="forbid")


class RecordOutput(Output):
    """A record: what the service knows of it comes first, its fields follow."""

    id: int
    created_at: datetime
    updated_at: datetime


class Health(Output):
    """The service answers and so does its database."""

    status: Literal["ok"] = "ok"


class ProblemDocument(Output):
    """An error (RFC 9457); ``code`` is stable."""

    type: str
    title: str
    status: int
    code: str
    detail: str
