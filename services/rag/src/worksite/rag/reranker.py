"""The cross-encoder: how well each passage answers a query, read together. `backends/` holds what computes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

import onnxruntime as ort
from tokenizers import Encoding, Tokenizer
from worksite.rag.domain.batching import affordable, batches
from worksite.rag.domain.windows import best_window, term_weights
from worksite.rag.tokenizing import plain

SHIPPED = Path(__file__).parent / "models" / "reranker-minilm-l6"
"""The model that comes with the engine, for ONNX Runtime, used where no other is configured."""

WINDOW_TOKENS, QUERY_TOKENS, HEADING_TOKENS = 100, 64, 24
"""How much is read of each passage, of the query, and of the headings above a passage."""
_MAX_TOKENS = 256
_BATCH_TOKENS = 1200
"""Padding included. Larger batches are no faster on a processor, and smaller ones end sooner at a deadline."""


class DeadlineExceeded(Exception):
    """The scores did not come in time."""


class Attempt:
    """One scoring, which another thread can end, even in the middle of a model call.

    The flag is one that ONNX Runtime looks at by itself; what computes otherwise calls `check` on its way.
    """

    def __init__(self) -> None:
        self.options = ort.RunOptions()

    def end(self) -> None:
        """Make the scoring raise DeadlineExceeded as soon as it looks."""
        self.options.terminate = True

    def check(self) -> None:
        """Raises DeadlineExceeded once ended."""
        if self.options.terminate:
            raise DeadlineExceeded


class Pair(NamedTuple):
    """A question and what is read of a passage: as texts, and as the model's tokens."""

    texts: tuple[str, str]
    encoding: Encoding


class PairModel(Protocol):
    """A loaded model that reads two texts together. Blocking, and safe to call from several threads."""

    folder: Path
    tokenizer: Tokenizer

    def logits(self, pairs: Sequence[Pair], attempt: Attempt) -> Sequence[float]:
        """The model's own score of each pair, computed as one batch. Raises DeadlineExceeded soon after an end."""
        ...


class CrossEncoder:
    """Decides what a model reads of passages, and how much at a time."""

    def __init__(self, model: PairModel) -> None:
        self._model = model
        self._words = plain(model.tokenizer)
        self._pairs = plain(model.tokenizer)
        self._pairs.enable_truncation(_MAX_TOKENS)
        self.folder = model.folder

    def score(
        self, query: str, passages: Sequence[tuple[str, str]], tokens: int, attempt: Attempt | None = None
    ) -> list[float]:
        """A score for each of the first passages, as many as fit into a budget of tokens; higher is better.

        A passage is its headings and its text. Only the window of the text that covers the query best is read.
        Raises DeadlineExceeded.
        """
        attempt = attempt or Attempt()
        pairs = self._read(query, passages)
        lengths = [len(pair.encoding.ids) for pair in pairs]
        lengths = lengths[: affordable(lengths, tokens)]
        scores = [0.0] * len(lengths)
        for batch in batches(lengths, _BATCH_TOKENS):
            attempt.check()
            for index, score in zip(batch, self._model.logits([pairs[one] for one in batch], attempt), strict=True):
                scores[index] = score
        return scores

    def _read(self, query: str, passages: Sequence[tuple[str, str]]) -> list[Pair]:
        asked, *heads = self._words.encode_batch([query, *(head for head, _ in passages)], add_special_tokens=False)
        texts = self._words.encode_batch([text for _, text in passages], add_special_tokens=False)
        weights = term_weights(asked.ids, [text.ids for text in texts])
        question = _cut(query, asked, slice(QUERY_TOKENS))
        windows = [
            _cut(text, encoded, best_window(encoded.ids, weights, WINDOW_TOKENS))
            for (_, text), encoded in zip(passages, texts, strict=True)
        ]
        headings = [
            _cut(heading, encoded, slice(HEADING_TOKENS)) for (heading, _), encoded in zip(passages, heads, strict=True)
        ]
        pairs = [(question, f"{head}\n{body}") for head, body in zip(headings, windows, strict=True)]
        return [Pair(*both) for both in zip(pairs, self._pairs.encode_batch(pairs), strict=True)]


def _cut(text: str, encoded: Encoding, tokens: slice) -> str:
    """The part of a text that a run of its tokens stands for."""
    kept = encoded.offsets[tokens]
    return text[kept[0][0] : kept[-1][1]] if kept else ""
