"""The port of model backends: each makes embedders and models of pairs out of folders."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from worksite.common.settings import SettingsError
from worksite.rag.embedder import Embedder
from worksite.rag.reranker import PairModel


class ModelError(SettingsError):
    """What a setting names cannot be used as a model; says what is missing or does not fit."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A way to compute models.

    `default_embedder` is a folder or a hub's name. Of a hub's model `files` (patterns) are taken; it can be used where
    something matches `weights`. `embedder` and `pair_model` load a folder, to compute with so many threads; they raise
    ModelError.
    """

    name: str
    default_embedder: str
    files: tuple[str, ...]
    weights: str
    embedder: Callable[[Path, int], Embedder]
    pair_model: Callable[[Path, int], PairModel]
