"""The base of every message: frozen, closed when produced, open when consumed."""

from __future__ import annotations

import unicodedata
from typing import Annotated, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints
from pydantic_core import to_json

TaskId = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{32}$")]
"""A UUIDv7 in hex."""
Tenant = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]{1,32}$")]
"""An opaque tenant token; safe as one subject token."""
StepId = Annotated[str, StringConstraints(pattern=r"^[1-9][0-9]{0,3}-(import|design|build|validate|answer|deliver)$")]
"""`<n>-<action>`, n counting the task's commands."""
ROUTE_STEP = "0-route"
"""Before the first command: admin's own step, which chooses the route. It has a journal and a budget like any other."""
JournalStep = Annotated[
    str, StringConstraints(pattern=rf"^({ROUTE_STEP}|[1-9][0-9]{{0,3}}-(import|design|build|validate|answer|deliver))$")
]
"""A step that may call language models."""
Sha256 = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
CommitSha = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}$")]


def json_bytes(value: object) -> int:
    """How much of a message a value takes up: quotes and line breaks are written in two bytes, an emoji in four."""
    return len(to_json(value))


def _plain(text: str) -> str:
    if any(unicodedata.category(c) == "Cc" and c not in "\n\t\r" for c in text):
        raise ValueError("holds control characters; only line breaks and tabs are text")
    return text


PLAIN = AfterValidator(_plain)
"""For what people write: control characters have no place in logs and terminals, and each takes six bytes as JSON."""


class Model(BaseModel):
    """A frozen value that refuses unknown fields when it is built or received over HTTP."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Message(Model):
    """A value that travels on the bus; each subclass has its own tag, `type: Literal[...]`."""

    TYPE_PREFIX: ClassVar[str] = "worksite.v1."

    @classmethod
    def tag(cls) -> str:
        """The literal in the `type` field, e.g. `submit_task`."""
        return str(cls.model_fields["type"].default)

    @classmethod
    def ce_type(cls) -> str:
        """The CloudEvents type, e.g. `worksite.v1.submit_task`."""
        return cls.TYPE_PREFIX + cls.tag()

    @classmethod
    def consume(cls, data: bytes | str) -> Self:
        """Parse what came from the bus; unknown fields are ignored so that old and new versions can run side by side.

        Raises pydantic.ValidationError for anything else that does not fit.
        """
        return cls.model_validate_json(data, extra="ignore")

    def to_json(self) -> bytes:
        """The message as it goes on the wire."""
        return self.model_dump_json().encode()
