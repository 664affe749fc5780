"""Which reranker is used: the configured one, else the one that ships, else none."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from worksite.rag.inference import ModelError
from worksite.rag.reranker import SHIPPED, CrossEncoder

logger = logging.getLogger(__name__)

NONE = "none"
"""The value of RAG_RERANKER that turns reranking off."""
_FILES = ["config.json", "tokenizer.json", "onnx/model_quint8_avx2.onnx"]
_HUB_SECONDS = 5.0

Fetch = Callable[[str], Path | None]


class Reranker(NamedTuple):
    """A loaded model, or None, and in a few words where it comes from."""

    model: CrossEncoder | None
    source: str


def from_hub(name: str) -> Path | None:
    """The folder of a hub's model: from the local cache, else downloaded; None where neither works."""
    from huggingface_hub import snapshot_download  # takes a moment to import: only who uses a hub pays

    for local in (True, False):
        try:
            found = snapshot_download(name, allow_patterns=_FILES, local_files_only=local, etag_timeout=_HUB_SECONDS)
        except Exception as error:  # offline, unknown name, no access: the library raises some twenty kinds
            logger.info("reranker %s: %s: %s", name, "not in the local cache" if local else "no hub", error)
        else:
            if Path(found, "tokenizer.json").is_file() and any(Path(found).glob("onnx/*.onnx")):
                return Path(found)
    return None


def load_reranker(setting: str | None, threads: int, shipped: Path = SHIPPED, fetch: Fetch = from_hub) -> Reranker:
    """Load the model that RAG_RERANKER names: a folder, a hub name (`owner/name`) or `none`.

    A hub's model that cannot be had is replaced by the shipped one, and that by none, both with a warning; a folder
    that cannot be used is a mistake of whoever configured it. Raises ModelError for that.
    """
    if setting == NONE:
        return Reranker(None, "turned off by RAG_RERANKER")
    if setting and (folder := _configured(setting, fetch)):
        return Reranker(CrossEncoder(folder, threads), setting)
    why = f", {setting} cannot be had" if setting else ""
    if not shipped.is_dir():
        logger.warning("no reranker: none is shipped with this installation%s", why)
        return Reranker(None, f"none is shipped{why}")
    if setting:
        logger.warning("RAG_RERANKER: %s is neither cached nor on a hub in reach: using the shipped one", setting)
    return Reranker(CrossEncoder(shipped, threads), f"shipped{why}")


def _configured(setting: str, fetch: Fetch) -> Path | None:
    folder = Path(setting)
    if folder.is_dir():
        return folder
    if setting.count("/") == 1 and not setting.startswith((".", "/")):
        return fetch(setting)
    raise ModelError(
        f"RAG_RERANKER: {setting} is neither a folder, nor the name of a hub's model (owner/name), nor {NONE}"
    )
