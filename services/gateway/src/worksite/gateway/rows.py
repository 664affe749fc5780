"""Rows of buckets as typed values, whatever somebody has written there."""

from __future__ import annotations

import logging
from typing import TypeVar

from pydantic import ValidationError
from worksite.common.bus import Entry
from worksite.common.messages import Model

log = logging.getLogger(__name__)
M = TypeVar("M", bound=Model)


def readable(model: type[M], row: Entry) -> M | None:
    """What a row holds; None, and a word in the log, for what cannot be read: one such row must not hide the others."""
    try:
        return model.model_validate_json(row.value, extra="ignore")
    except ValidationError as error:
        log.error("the row %s cannot be read: %s", row.key, error)
        return None
