"""Makes collections of Cranfield, CACM and NPL out of the files that the Glasgow IR group distributes.

    python -m benchmarks.rag.glasgow SOURCE FOLDER

SOURCE holds the folders `cranfield`, `cacm` and `npl` with the files as they come; FOLDER gets a collection of each.
The texts are for research use, so they are not in this repository.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterable, Mapping
from pathlib import Path

from benchmarks.rag.beir import write_collection

Fields = dict[str, str]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("source", type=Path)
    parser.add_argument("folder", type=Path)
    places = parser.parse_args()
    for name, read in {"cranfield": cranfield, "cacm": cacm, "npl": npl}.items():
        if (source := places.source / name).is_dir():
            documents, queries, pairs = read(source)
            _write(places.folder / name, documents, queries, pairs)


def cranfield(source: Path) -> tuple[Fields, Fields, Iterable[tuple[str, str]]]:
    """The judgements number the queries by position, not by their own number; grades of 0 or less are not relevant."""
    documents = {one: fields.get("W") or fields.get("T", "") for one, fields in _smart(source / "cran.all.1400")}
    queries = {str(at): fields["W"] for at, (_, fields) in enumerate(_smart(source / "cran.qry"), 1)}
    rows = [line.split() for line in _text(source / "cran.qrels").splitlines()]
    return documents, queries, [(row[0], row[1]) for row in rows if len(row) > 2 and int(row[2]) > 0]


def cacm(source: Path) -> tuple[Fields, Fields, Iterable[tuple[str, str]]]:
    """Title and abstract; many documents have a title only."""
    documents = {
        one: f"{fields.get('T', '')} {fields.get('W', '')}".strip() for one, fields in _smart(source / "cacm.all")
    }
    queries = {one: fields.get("W", "") for one, fields in _smart(source / "query.text")}
    rows = [line.split() for line in _text(source / "qrels.text").splitlines()]
    return documents, queries, [(str(int(row[0])), str(int(row[1]))) for row in rows if len(row) > 1]


def npl(source: Path) -> tuple[Fields, Fields, Iterable[tuple[str, str]]]:
    """The queries are in capitals, the documents are not."""
    queries = {one: text.lower() for one, text in _blocks(source / "query-text").items()}
    judged = _blocks(source / "rlv-ass")
    return _blocks(source / "doc-text"), queries, [(query, one) for query in judged for one in judged[query].split()]


def _write(folder: Path, documents: Fields, queries: Fields, pairs: Iterable[tuple[str, str]]) -> None:
    relevant: dict[str, set[str]] = {}
    for query, one in pairs:
        if query in queries and one in documents:
            relevant.setdefault(query, set()).add(one)
    write_collection(folder, documents, {one: text for one, text in queries.items() if one in relevant}, relevant)


def _smart(file: Path) -> list[tuple[str, Mapping[str, str]]]:
    """Records of the SMART system: `.I number`, then fields, each a line with its letter and lines of text."""
    records = re.split(r"^\.I\s+(\d+)\s*$", _text(file), flags=re.MULTILINE)[1:]
    return [(str(int(one)), _fields(record)) for one, record in zip(records[::2], records[1::2], strict=True)]


def _fields(record: str) -> Mapping[str, str]:
    parts = re.split(r"^\.([A-Z])\s*$", record, flags=re.MULTILINE)[1:]
    found: dict[str, list[str]] = {}
    for letter, text in zip(parts[::2], parts[1::2], strict=True):
        found.setdefault(letter, []).append(" ".join(text.split()))
    return {letter: " ".join(texts) for letter, texts in found.items()}


def _blocks(file: Path) -> Fields:
    """Blocks that end with a line of `/`: a number, then text."""
    blocks = (block.split() for block in re.split(r"^\s*/\s*$", _text(file), flags=re.MULTILINE))
    return {block[0]: " ".join(block[1:]) for block in blocks if block and block[0].isdigit()}


def _text(file: Path) -> str:
    return file.read_text(errors="replace")


if __name__ == "__main__":
    main()
