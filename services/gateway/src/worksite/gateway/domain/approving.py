"""May this word on a gate be given to that task now?"""

from __future__ import annotations

from datetime import datetime

from worksite.common.messages import Approval, ApprovalGiven, TaskEntry


class NothingToApprove(Exception):
    """The task waits for no approver, or for a word on something else; the text says which."""


def awaited(entry: TaskEntry, given: ApprovalGiven, last_word: int, now: datetime) -> Approval:
    """What the task waits for. Raises NothingToApprove.

    `last_word` is the stream sequence of the last word given, 0 without one: one after the state that asks is one that
    admin has yet to take up.
    """
    asked = entry.state.approval if entry.state else None
    if asked is None:
        raise NothingToApprove(
            f"the task is {entry.state.status if entry.state else 'queued'} and waits for no approver"
        )
    if last_word > entry.sequence:
        raise NothingToApprove("somebody has just spoken on this gate")
    if given.gate != asked.gate:
        raise NothingToApprove(f"the task waits at gate {asked.gate}")
    if given.digest != asked.digest:
        raise NothingToApprove(f"what waits for approval has the digest {asked.digest}: look at it first")
    if now >= asked.expires_at:
        raise NothingToApprove(f"the time to approve ended {asked.expires_at.isoformat(timespec='seconds')}")
    return asked
