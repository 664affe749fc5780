"""A manifest as both stores keep it: a JSON object."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from worksite.rag.domain.identity import Fingerprint, Manifest

logger = logging.getLogger(__name__)


def manifest_to(manifest: Manifest) -> dict[str, Any]:
    """What is stored."""
    return asdict(manifest)


def manifest_from(stored: Mapping[str, Any], digest: str) -> Manifest | None:
    """What was stored of the index that is called `digest`; None for what this version cannot make sense of."""
    try:
        fingerprint = Fingerprint(**stored["fingerprint"])
        manifest = Manifest(
            fingerprint,
            str(stored["embedder"]),
            str(stored["backend"]),
            int(stored["dimensions"]),
            stored["complete"] is True,
        )
    except (KeyError, TypeError, ValueError) as error:
        logger.warning("the manifest of index %s cannot be read: %r", digest, error)
        return None
    return manifest if manifest.digest == digest else None


def manifest_file(folder: Path) -> Path:
    """Where the manifest of a shard is: beside it."""
    return folder.with_suffix(".json")
