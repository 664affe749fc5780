"""HTML, PDF and DOCX files as Markdown."""

from __future__ import annotations

from worksite.rag.confining import PROCESSOR_SECONDS, SECONDS, Confined, NotDone
from worksite.rag.conversion import OUTPUT_BYTES
from worksite.rag.domain.documents import Unindexable


class Converter:
    """One conversion at a time."""

    def __init__(self, seconds: float = SECONDS, processor_seconds: int = PROCESSOR_SECONDS) -> None:
        self._process = Confined("worksite.rag.conversion", OUTPUT_BYTES, seconds, processor_seconds)

    async def markdown(self, data: bytes, suffix: str) -> str:
        """The Markdown of a file, which is HTML, PDF or DOCX by its suffix. Raises Unindexable with the reason."""
        try:
            return await self._process.run(data, suffix)
        except NotDone as error:
            raise Unindexable(f"it cannot be converted: {error}") from error
