"""Which models are used: the configured ones, else those that ship; and for reranking, else none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from worksite.rag.backend import Backend, ModelError
from worksite.rag.backends.onnx import BACKEND as ONNX
from worksite.rag.embedder import Embedder
from worksite.rag.reranker import SHIPPED, CrossEncoder

logger = logging.getLogger(__name__)

NONE = "none"
"""The value of RAG_RERANKER that turns reranking off."""
_HUB_SECONDS = 5.0

Fetch = Callable[[str, Backend], Path | None]


class Reranker(NamedTuple):
    """A loaded model, or None, and in a few words where it comes from."""

    model: CrossEncoder | None
    source: str


def backend_named(name: str) -> Backend:
    """A shipped backend. Raises ModelError where the packages that it needs are not installed."""
    if name == ONNX.name:
        return ONNX
    try:
        from worksite.rag.backends.sentence_transformers import BACKEND  # gigabytes, seconds: only who uses it pays
    except ImportError as error:
        raise ModelError(
            f"RAG_BACKEND: {name} is not installed ({error}); install it from a checkout with "
            "pip install --constraint constraints.txt 'services/rag[sentence-transformers]'"
        ) from error
    return BACKEND


def from_hub(name: str, backend: Backend) -> Path | None:
    """The folder of a hub's model: from the local cache, else downloaded; None where neither works."""
    from huggingface_hub import snapshot_download  # takes a moment to import: only who uses a hub pays

    for local in (True, False):
        try:
            found = snapshot_download(
                name, allow_patterns=list(backend.files), local_files_only=local, etag_timeout=_HUB_SECONDS
            )
        except Exception as error:  # offline, unknown name, no access: the library raises some twenty kinds
            logger.info("model %s: %s: %s", name, "not in the local cache" if local else "no hub", error)
        else:
            if Path(found, "tokenizer.json").is_file() and any(Path(found).glob(backend.weights)):
                return Path(found)
    return None


def load_embedder(name: str, threads: int, backend: Backend = ONNX, fetch: Fetch = from_hub) -> Embedder:
    """Load the model that RAG_EMBEDDER_PATH names: a folder or a hub name (`owner/name`).

    None takes its place: vectors of another model would be another index. Raises ModelError.
    """
    folder = _found("RAG_EMBEDDER_PATH", name, backend, fetch)
    if folder is None:
        raise ModelError(f"RAG_EMBEDDER_PATH: {name} is neither cached nor on a hub in reach")
    return backend.embedder(folder, threads)


def load_reranker(
    setting: str | None, threads: int, backend: Backend = ONNX, shipped: Path = SHIPPED, fetch: Fetch = from_hub
) -> Reranker:
    """Load the model that RAG_RERANKER names: a folder, a hub name (`owner/name`) or `none`.

    A hub's model that cannot be had is replaced by the shipped one, which any backend leaves to ONNX Runtime, and that
    by none, both with a warning; a folder that cannot be used is a mistake of whoever configured it. Raises ModelError
    for that.
    """
    if setting == NONE:
        return Reranker(None, "turned off by RAG_RERANKER")
    if setting and (folder := _found("RAG_RERANKER", setting, backend, fetch)):
        return Reranker(CrossEncoder(backend.pair_model(folder, threads)), setting)
    why = f", {setting} cannot be had" if setting else ""
    if not shipped.is_dir():
        logger.warning("no reranker: none is shipped with this installation%s", why)
        return Reranker(None, f"none is shipped{why}")
    if setting:
        logger.warning("RAG_RERANKER: %s is neither cached nor on a hub in reach: using the shipped one", setting)
    return Reranker(CrossEncoder(ONNX.pair_model(shipped, threads)), f"shipped{why}")


def _found(variable: str, setting: str, backend: Backend, fetch: Fetch) -> Path | None:
    """The folder that a setting names, by its path or a hub's name. Raises ModelError where it is neither."""
    folder = Path(setting)
    if folder.is_dir():
        return folder
    if setting.count("/") == 1 and not setting.startswith((".", "/")):
        return fetch(setting, backend)
    raise ModelError(f"{variable}: {setting} is neither a folder nor the name of a hub's model (owner/name)")
