"""Answers that only quote."""

from __future__ import annotations

from collections.abc import Sequence

from worksite.architect.domain.documents import escape
from worksite.common.blueprints import MANIFEST
from worksite.common.messages import Answer, Citation, SearchResult

SEARCH_ENGINE = "search"
MAX_PASSAGES = 3
MIN_COSINE = 0.38
"""Calibrated for the shipped embedder (all-MiniLM-L6-v2, int8) by the cosine of the best passage. Questions about the
collection itself: above it for 98 % of Cranfield's queries, all of CACM's and 11 of 12 short questions about technical
notes. Questions about another collection: below it for 90 %; everyday questions (12 on each of three collections): all
below, the highest 0.365. Another embedder needs another value."""


def answer_from(results: Sequence[SearchResult]) -> Answer | None:
    """The best relevant passages, quoted; None when none is relevant."""
    relevant = [result for result in results if is_relevant(result)][:MAX_PASSAGES]
    if not relevant:
        return None
    citations = tuple(
        Citation(path=r.path, start_line=r.start_line, end_line=r.end_line, text=r.text) for r in relevant
    )
    return Answer(text="\n\n".join(map(_quoted, citations)), citations=citations, engine=SEARCH_ENGINE)


def is_relevant(result: SearchResult) -> bool:
    """Prose, and close enough in meaning. The fused score only ranks: its best is high whatever the question.

    Manifests are indexed for matching; their lists of phrases answer nobody.
    """
    if result.path.endswith(f"/{MANIFEST}"):
        return False
    return result.scores.dense is not None and result.scores.dense >= MIN_COSINE


def _quoted(citation: Citation) -> str:
    lines = "\n".join(f"> {line}".rstrip() for line in citation.text.strip("\n").splitlines())
    return f"{lines}\n>\n> — {escape(citation.path)}:{citation.start_line}-{citation.end_line}"
