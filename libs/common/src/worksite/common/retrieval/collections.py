"""Test collections in the layout of BEIR: `corpus.jsonl`, `queries.jsonl` and `qrels/test.tsv`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any


class CollectionError(Exception):
    """A folder is no test collection; says which file, and which line of it."""


@dataclass(frozen=True, slots=True)
class Collection:
    """Texts by document, questions by query, grades by query and document; queries that nobody judged are left out."""

    name: str
    documents: dict[str, str]
    queries: dict[str, str]
    grades: dict[str, dict[str, int]]


def read_collection(folder: Path) -> Collection:
    """Read a folder. A document's title, where it has one, is put in front of its text. Raises CollectionError."""
    documents = {
        record["_id"]: f"{record.get('title', '')}\n{record['text']}".strip()
        for record in _records(folder / "corpus.jsonl")
    }
    queries = {record["_id"]: record["text"] for record in _records(folder / "queries.jsonl")}
    grades: dict[str, dict[str, int]] = {}
    for query, document, grade in _judgements(folder / "qrels" / "test.tsv"):
        if query in queries:  # a document that is not there counts as not found, as in trec_eval
            grades.setdefault(query, {})[document] = grade
    if not any(grade.keys() & documents.keys() for grade in grades.values()):
        raise CollectionError(f"{folder}: no judgement names a query and a document of the collection")
    return Collection(folder.name, documents, {one: text for one, text in queries.items() if one in grades}, grades)


def _records(file: Path) -> Iterator[dict[str, Any]]:
    for number, line in _lines(file):
        try:
            found = json.loads(line)
            record = {**found, "_id": str(found["_id"]), "text": str(found["text"])}
        except (ValueError, TypeError, KeyError) as error:
            raise CollectionError(f"{file}:{number}: not an object with _id and text") from error
        yield record


def _judgements(file: Path) -> Iterator[tuple[str, str, int]]:
    for number, line in _lines(file):
        try:
            query, document, grade = line.split("\t")
            if number > 1 or grade.strip().lstrip("-").isdigit():  # the first line names the columns
                yield query, document, int(grade)
        except ValueError as error:
            raise CollectionError(f"{file}:{number}: not query, document and grade, apart by tabs") from error


def _lines(file: Path) -> Iterator[tuple[int, str]]:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise CollectionError(f"{file} cannot be read: {error}") from error
    return ((number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip())
