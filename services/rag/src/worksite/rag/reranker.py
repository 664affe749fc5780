"""The cross-encoder by ONNX Runtime: how well each passage answers a query, read together."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Encoding
from worksite.rag.domain.batching import affordable, batches
from worksite.rag.domain.windows import best_window, term_weights
from worksite.rag.inference import ModelError, load_session, load_tokenizer, model_file

SHIPPED = Path(__file__).parent / "models" / "reranker-minilm-l6"
"""The model that comes with the engine, used where no other is configured."""

WINDOW_TOKENS, QUERY_TOKENS, HEADING_TOKENS = 100, 64, 24
"""How much is read of each passage, of the query, and of the headings above a passage."""
_MAX_TOKENS = 256
_BATCH_TOKENS = 1200
"""Padding included. Larger batches are no faster on a processor, and smaller ones end sooner at a deadline."""


class DeadlineExceeded(Exception):
    """The scores did not come in time."""


class Attempt:
    """One scoring, which another thread can end, even in the middle of a model call."""

    def __init__(self) -> None:
        self.options = ort.RunOptions()

    def end(self) -> None:
        """Make the scoring raise DeadlineExceeded as soon as it looks; ONNX Runtime does after every operator."""
        self.options.terminate = True

    def check(self) -> None:
        """Raises DeadlineExceeded once ended."""
        if self.options.terminate:
            raise DeadlineExceeded


class CrossEncoder:
    """A loaded model. Blocking and safe to call from several threads; ONNX Runtime works outside the GIL."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load a folder in the layout of `cross-encoder/ms-marco-MiniLM-L-6-v2`. Raises ModelError."""
        model = model_file(folder)
        self._pairs = load_tokenizer(folder, _MAX_TOKENS)
        self._words = load_tokenizer(folder)
        self._session = load_session(model, threads)
        self._inputs = {one.name for one in self._session.get_inputs()}
        if (shape := self._session.get_outputs()[0].shape)[1:] != [1]:
            raise ModelError(f"{model} gives {shape} for a batch of pairs; a reranker gives one score for each")
        self.folder = folder

    def score(
        self, query: str, passages: Sequence[tuple[str, str]], tokens: int, attempt: Attempt | None = None
    ) -> list[float]:
        """A score for each of the first passages, as many as fit into a budget of tokens; higher is better.

        A passage is its headings and its text. Only the window of the text that covers the query best is read.
        Raises DeadlineExceeded.
        """
        attempt = attempt or Attempt()
        pairs = self._encoded(query, passages)
        lengths = [len(pair.ids) for pair in pairs]
        lengths = lengths[: affordable(lengths, tokens)]
        scores = np.zeros(len(lengths), dtype=np.float32)
        for batch in batches(lengths, _BATCH_TOKENS):
            attempt.check()
            scores[batch] = self._run([pairs[index] for index in batch], attempt)
        return scores.tolist()

    def _encoded(self, query: str, passages: Sequence[tuple[str, str]]) -> list[Encoding]:
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
        return self._pairs.encode_batch(pairs)

    def _run(self, pairs: Sequence[Encoding], attempt: Attempt) -> NDArray[np.float32]:
        inputs = {
            "input_ids": _padded([pair.ids for pair in pairs]),
            "attention_mask": _padded([pair.attention_mask for pair in pairs]),
            "token_type_ids": _padded([pair.type_ids for pair in pairs]),
        }
        wanted = {name: value for name, value in inputs.items() if name in self._inputs}
        try:
            logits = self._session.run(None, wanted, attempt.options)[0]
        except Exception:  # the binding has no error of its own for a run that was ended
            attempt.check()
            raise
        return np.asarray(logits, dtype=np.float32)[:, 0]


def _cut(text: str, encoded: Encoding, tokens: slice) -> str:
    """The part of a text that a run of its tokens stands for."""
    kept = encoded.offsets[tokens]
    return text[kept[0][0] : kept[-1][1]] if kept else ""


def _padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Rows filled up with zeros; where the mask is zero the model reads nothing."""
    filled = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for row, values in zip(filled, rows, strict=True):
        row[: len(values)] = values
    return filled
