"""Picks the sources out of one archive of a task's branch, in a process of its own.

The result is a JSON object: the sources by their paths, and how many more were left out because they would be too much.
"""

from __future__ import annotations

import io
import json
import stat
import zipfile
from collections.abc import Iterator

from worksite.rag import confined
from worksite.rag.confined import Refused
from worksite.rag.domain.formats import source_of
from worksite.rag.ignoring import is_outside_by_name

MOST_FILES = 200
MOST_BYTES = 1 << 20
"""Of all sources of a task together, which is about a thousand chunks."""
OUTPUT_BYTES = 8 * MOST_BYTES
"""JSON writes a control character in six bytes."""


def main() -> None:
    """Entry point of the process; its argument is not used."""
    confined.serve(lambda data, _: json.dumps(sources_in(data), ensure_ascii=False), OUTPUT_BYTES)


def sources_in(data: bytes) -> dict[str, object]:
    """Texts that their names call so, smallest first, as many as the limits allow: what is large is seldom written by
    hand. Raises Refused for what is no archive."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            parts = sorted(filter(_counts, archive.infolist()), key=lambda part: (part.file_size, part.filename))
            texts = dict(_read(archive, parts[:MOST_FILES]))
    except zipfile.BadZipFile as error:
        raise Refused(f"it is no zip archive: {error}") from error
    kept = {path: text for path, text in texts.items() if text is not None}
    return {"texts": kept, "left_out": len(parts) - len(texts)}


def _read(archive: zipfile.ZipFile, parts: list[zipfile.ZipInfo]) -> Iterator[tuple[str, str | None]]:
    left = MOST_BYTES
    for part in parts:
        if part.file_size > left:
            return
        left -= part.file_size
        yield part.filename, _text(archive.read(part))


def _text(content: bytes) -> str | None:
    try:
        text = content.decode()
    except UnicodeDecodeError:
        return None
    return text if text.strip() and "\0" not in text else None


def _counts(part: zipfile.ZipInfo) -> bool:
    """As in watched folders: no hidden files, nothing that others made, no links; and nothing to convert."""
    source, is_link = source_of(part.filename), stat.S_ISLNK(part.external_attr >> 16)
    if source is None or source.is_converted or is_link or not part.file_size:
        return False
    return not any(is_outside_by_name(step) for step in part.filename.split("/"))


if __name__ == "__main__":
    main()
