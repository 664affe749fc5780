"""Asks rag for a request's vector and has the classifier read it. No other service than rag loads a model.

It never fails and never holds a task up: where rag is away, slow or has another embedder than the classifier was
trained with, there is no reading, and the cascade goes on without.
"""

from __future__ import annotations

import asyncio
import logging
from importlib import resources
from typing import Literal

from pydantic import ValidationError
from worksite.admin.domain.classifier import Classifier, Reading
from worksite.common.bus import Bus, request
from worksite.common.errors import WorksiteError
from worksite.common.messages import Embedding, EmbedText

log = logging.getLogger(__name__)

Trouble = Literal["rag_slow", "rag_away", "other_embedder"]


def shipped_classifier() -> Classifier:
    """The trained file of this version."""
    return Classifier.model_validate_json((resources.files("worksite.admin") / "weights.json").read_text())


class Reader:
    """Reads requests. `read` returns why it could not where it could not."""

    def __init__(self, bus: Bus, classifier: Classifier, seconds: float) -> None:
        """`seconds`: how long rag has for its answer."""
        self._bus, self._classifier, self._seconds = bus, classifier, seconds
        self._told: Trouble | None = None

    async def read(self, text: str) -> Reading | Trouble:
        """What the request reads like."""
        found = await self._embedded(text)
        if isinstance(found, Embedding):
            if found.embedder == self._classifier.embedder and len(found.vector) == self._classifier.dimensions:
                self._told = None
                return self._classifier.read(text, found.vector)
            found = "other_embedder"
        self._tell(found)
        return found

    async def _embedded(self, text: str) -> Embedding | Trouble:
        try:
            async with asyncio.timeout(self._seconds):
                return await request(self._bus, "rag", "embed", EmbedText(text=text), Embedding)
        except TimeoutError:
            return "rag_slow"
        except (WorksiteError, ValidationError):
            return "rag_away"

    def _tell(self, trouble: Trouble) -> None:
        """Once, not for every task."""
        if trouble != self._told:
            log.warning("requests are routed without the classifier: %s", _MEANING[trouble])
        self._told = trouble


_MEANING: dict[Trouble, str] = {
    "rag_slow": "rag did not answer in time (ROUTE_EMBED_SECONDS)",
    "rag_away": "rag does not answer",
    "other_embedder": "rag uses another embedder than the classifier was trained with (RAG_EMBEDDER_PATH, RAG_BACKEND);"
    " services/admin/tools/train_classifier.py trains it anew",
}
