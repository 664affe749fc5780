"""Idempotency keys: one key and body is one task, however often it is sent (draft-ietf-httpapi-idempotency-key-header).

The lock under a key holds everything that makes the command: whoever finds it can finish what the first attempt began,
and produces the same message. Which of these holds decides what to do:

- no lock: write it (compare-and-set), publish, create the entry in `tasks`;
- a lock of another body: refuse;
- a lock of the same body, and the task is known: answer with the task as it is;
- a lock of the same body, and the task is not known: the first attempt died between lock and entry, or is still at it.
  Publish again. Within ten minutes the stream drops the second copy (`Nats-Msg-Id` is the task id). After that a second
  copy could be stored, but only if the first still waits unseen in TASKS, because admin creates the entry when it takes
  a task up; and as the `ce-id` is the task id as well, admin recognises the second copy as applied.
"""

from __future__ import annotations

import hashlib
import re
from datetime import datetime

from worksite.common.messages import Model
from worksite.common.messages.base import Sha256, TaskId

MAX_KEY_LENGTH = 255
_KEY = re.compile(r"[\x21-\x7e](?:[\x20-\x7e]*[\x21-\x7e])?")


class Lock(Model):
    """The value under a key, written once."""

    body_sha256: Sha256
    task: TaskId
    principal: str
    submitted_at: datetime

    def fits(self, body: bytes) -> bool:
        """Was it taken for the same body?"""
        return self.body_sha256 == digest(body)


def is_key(value: str) -> bool:
    """1 to 255 printable ASCII characters, no space at either end."""
    return len(value) <= MAX_KEY_LENGTH and _KEY.fullmatch(value) is not None


def storage_key(tenant: str, subject: str, route: str, key: str) -> str:
    """Where the lock lies: each principal has keys of its own, so nobody can take another's away. The client's own
    characters never become part of a subject."""
    scoped = f"{subject}\n{route}\n{key}"
    return f"{tenant}.{digest(scoped.encode())}"


def digest(body: bytes) -> str:
    """The identity of a body: its bytes."""
    return hashlib.sha256(body).hexdigest()
