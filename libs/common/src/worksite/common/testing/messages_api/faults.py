"""What can be made to go wrong, so many times, for all requests or for those of one conversation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "status",  # an error instead of a reply
    "silent",  # no answer at all
    "stall",  # the stream stops and the connection stays
    "slow",  # a pause before each event
    "truncate",  # the stream ends cleanly, too soon
    "reset",  # the connection is reset
    "half_frame",  # the connection closes in the middle of an event
    "error_event",  # an error inside the stream, of status 200
    "garbage",  # an event that is no JSON
    "unopened",  # a piece of a block that was never opened
    "not_a_stream",  # a whole JSON reply where a stream was asked for
    "not_json",  # a page of HTML with status 200
    "bad_output",  # a reply that does not fit the requested schema is let through
]


@dataclass(frozen=True)
class Fault:
    """`after_events`: of the stream, before it happens (`message_start` and a ping are the first two)."""

    kind: Kind
    times: int = 1
    opening: str = ""
    after_events: int = 4
    status: int = 529
    error_type: str = "overloaded_error"
    headers: Mapping[str, str] = field(default_factory=dict[str, str])
    code: str | None = None
    pause_seconds: float = 0.0


class Faults:
    """What is still to go wrong, in order."""

    def __init__(self, planned: tuple[Fault, ...]) -> None:
        self._planned = planned
        self._left = [fault.times for fault in planned]

    def take(self, opening: str) -> Fault | None:
        """The next one for a conversation that opened so."""
        for index, fault in enumerate(self._planned):
            if self._left[index] > 0 and fault.opening in opening:
                self._left[index] -= 1
                return fault
        return None
