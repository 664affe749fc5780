"""Chunks and documents made up for `rag_speed.py`: real words, spread as words are, and vectors in clusters.

Words are drawn by Zipf's law as Mandelbrot bent it, so that the most frequent one is in about a third of the chunks, as
in texts without their stop words. Everything follows from a seed: a batch can be made again and need not be kept.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from uuid import UUID

import numpy as np
from numpy.typing import NDArray
from worksite.rag.domain.documents import Document, Passage, Point, SparseVector
from worksite.rag.embedder import SHIPPED, Embedder
from worksite.rag.stores.sparse import AVERAGE_TERMS, SparseEncoder

BATCH = 500
CHUNKS_OF_A_DOCUMENT = 20
_WORDS_OF_A_CHUNK = 145
"""About 800 characters."""
_TOKENS = 200
_CENTRES = 200
_NOISE = 0.9
"""Length of what is added to a centre of length 1: cosines to it of about 0.74."""
_BEND = 50


class Synthetic:
    """Batches of points, queries and documents; equal seeds give equal ones."""

    def __init__(self, embedder: Embedder, encoder: SparseEncoder) -> None:
        vocabulary = json.loads((SHIPPED / "tokenizer.json").read_text())["model"]["vocab"]
        words = sorted((word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 2), key=len)
        self._words = [word for word in words if encoder.query(word).indices]
        self._terms = [encoder.query(word).indices[0] for word in self._words]
        shares = 1 / (np.arange(len(self._words)) + _BEND)
        self._shares = shares / shares.sum()
        self._centres = np.array([embedder.embed(self.query(n, words=40)) for n in range(_CENTRES)], dtype=np.float32)

    def query(self, seed: int, words: int = 6) -> str:
        """A question of some words."""
        return " ".join(self._words[n] for n in self._drawn(np.random.default_rng([1, seed]), words))

    def vectors(self, batch: int) -> NDArray[np.float32]:
        """Those of a batch of points, of unit length."""
        chance = np.random.default_rng([2, batch])
        noise = chance.standard_normal((BATCH, self._centres.shape[1]), dtype=np.float32)
        noise *= _NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        vectors = self._centres[chance.integers(_CENTRES, size=BATCH)] + noise
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def points(self, batch: int) -> list[Point]:
        """A batch, which belongs to everybody."""
        chance = np.random.default_rng([3, batch])
        drawn = self._drawn(chance, BATCH * _WORDS_OF_A_CHUNK).reshape(BATCH, -1).tolist()
        first = batch * BATCH
        return [
            Point(UUID(int=first + n), self._passage(first + n, words), tuple(vector), self._sparse(words))
            for n, (words, vector) in enumerate(zip(drawn, self.vectors(batch).tolist(), strict=True))
        ]

    def document(self, seed: int) -> Document:
        """Paragraphs of 200 tokens, of which each is a chunk by itself; every word is a token."""
        drawn = self._drawn(np.random.default_rng([4, seed]), CHUNKS_OF_A_DOCUMENT * (_TOKENS - 1)).tolist()
        paragraphs = (drawn[n::CHUNKS_OF_A_DOCUMENT] for n in range(CHUNKS_OF_A_DOCUMENT))
        text = "\n\n".join(" ".join(self._words[n] for n in words) + "." for words in paragraphs)
        return Document(f"ingested/{seed}.md", text, "markdown", language="markdown")

    def long_document(self, characters: int) -> Document:
        """Headings, short paragraphs and lists."""
        return Document("ingested/long.md", "".join(self._sections(characters)), "markdown", language="markdown")

    def _sections(self, characters: int) -> Iterator[str]:
        seed = 0
        while characters > 0:
            title, text, *items = (self.query(seed + n, words) for n, words in enumerate((4, 40, 6, 6, 6)))
            seed += 5
            section = f"## {title}\n\n{text}.\n\n" + "".join(f"- {item}\n" for item in items) + "\n"
            characters -= len(section)
            yield section

    def _drawn(self, chance: np.random.Generator, count: int) -> NDArray[np.int64]:
        return chance.choice(len(self._words), size=count, p=self._shares)

    def _passage(self, number: int, words: list[int]) -> Passage:
        text = " ".join(self._words[n] for n in words)
        path = f"docs/{number // CHUNKS_OF_A_DOCUMENT}.md"
        line = 3 * (number % CHUNKS_OF_A_DOCUMENT) + 1
        return Passage(path, text, 0, len(text), line, line + 1, ("Made up", "Chunk"), "document", None, (), "markdown")

    def _sparse(self, words: list[int]) -> SparseVector:
        """As BM25 weighs terms: k 1.2, b 0.75."""
        times = Counter(self._terms[n] for n in words)
        dampening = 1.2 * (0.25 + 0.75 * len(words) / AVERAGE_TERMS)
        return SparseVector(tuple(times), tuple(2.2 * tf / (tf + dampening) for tf in times.values()))
