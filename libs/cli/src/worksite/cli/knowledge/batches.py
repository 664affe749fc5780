"""Bodies of `POST /v1/knowledge/documents` that the gateway takes."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator

from worksite.cli.knowledge.files import Text

MAX_DOCUMENTS = 500
MAX_BODY_BYTES = 16 << 20
_OPENING, _CLOSING = b'{"documents":[', b"]}"


def batches(texts: Iterable[Text], tags: tuple[str, ...], max_bytes: int = MAX_BODY_BYTES) -> Iterator[bytes]:
    """As few bodies as hold all texts, each within both limits; one text alone always fits."""
    batch: list[bytes] = []
    size = len(_OPENING) + len(_CLOSING)
    for text in texts:
        document = _encoded(text, tags)
        if batch and (size + len(document) + 1 > max_bytes or len(batch) == MAX_DOCUMENTS):
            yield _body(batch)
            batch, size = [], len(_OPENING) + len(_CLOSING)
        batch.append(document)
        size += len(document) + 1  # the comma
    if batch:
        yield _body(batch)


def _encoded(text: Text, tags: tuple[str, ...]) -> bytes:
    document: dict[str, object] = {"path": text.path, "text": text.text}
    if text.origin:
        tags = (*tags, text.origin)
    return json.dumps(document | ({"tags": tags} if tags else {}), ensure_ascii=False).encode()


def _body(batch: list[bytes]) -> bytes:
    return _OPENING + b",".join(batch) + _CLOSING
