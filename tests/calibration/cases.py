"""The cases: one file per subject, in the txtar format of Go's tools (text, then `-- name --` before each file).

The text is the request in one line, `with web.py` where the versions share that helper, and a line
`cheat/NAME: what the Report must name` for each cheat. Of the files, those below `project/` belong to every version
and to the base; `base/` holds what only the base has; `correct/NAME/`, `wrong/NAME/` and `cheat/NAME/` are the
versions to judge, each a commit on top of the base.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, cast

from worksite.common.messages import Criterion

FOLDER = Path(__file__).parent / "cases"
_MARKER = re.compile(r"^-- (\S+) --\n", re.MULTILINE)
_EXPECTED = re.compile(r"^cheat/(\S+): (.+)$", re.MULTILINE)
_TEST = re.compile(r"^def (test_(\w+))\(", re.MULTILINE)
_DECLARATION = {"worksite.toml": "[acceptance]\n"}

Kind = Literal["correct", "wrong", "cheat"]
Files = Mapping[str, str]


@dataclass(frozen=True)
class Case:
    """One program to judge. `named`: what the Report on a cheat must say."""

    subject: str
    kind: Kind
    name: str
    request: str
    base: Files
    head: Files
    named: str | None = None

    @property
    def id(self) -> str:
        return f"{self.subject}/{self.kind}/{self.name}"

    @property
    def criteria(self) -> tuple[Criterion, ...]:
        """As a client gives them: one for each acceptance test of the base."""
        found = ((path, match) for path, text in self.base.items() for match in _TEST.finditer(text) if _accepts(path))
        return tuple(
            Criterion(
                id=match[2].replace("_", "-"),
                statement=match[2].replace("_", " "),
                grade="verified_io",
                test=f"{path}::{match[1]}",
            )
            for path, match in found
        )


def _accepts(path: str) -> bool:
    return path.startswith("acceptance/")


def load(folder: Path = FOLDER) -> list[Case]:
    """Every case, by subject, in the order of their files."""
    return [case for path in sorted(folder.glob("*.txtar")) for case in read(path.stem, path.read_text(), folder)]


def read(subject: str, text: str, folder: Path = FOLDER) -> Iterator[Case]:
    """The cases of one file."""
    comment, *parts = _MARKER.split(text)
    files = dict(zip(parts[::2], parts[1::2], strict=True))
    request, *options = comment.strip().splitlines()
    expected = dict(_EXPECTED.findall(comment))
    helpers = {"web.py": (folder / "web.py").read_text()} if "with web.py" in options else {}
    project = _DECLARATION | helpers | _below("project/", files)
    base = project | _below("base/", files)
    for kind, name in dict.fromkeys(_versions(files)):
        head = project | _below(f"{kind}/{name}/", files)
        yield Case(subject, kind, name, request, base, head, expected.get(name) if kind == "cheat" else None)


def _below(prefix: str, files: Files) -> dict[str, str]:
    return {name.removeprefix(prefix): text for name, text in files.items() if name.startswith(prefix)}


def _versions(names: Iterable[str]) -> Iterator[tuple[Kind, str]]:
    for name in names:
        kind, version, *_ = name.split("/")
        if kind not in ("project", "base"):
            yield cast("Kind", kind), version


def short(cases: list[Case]) -> list[Case]:
    """A few of each kind, each of another subject, and the same ones every time."""
    kinds: tuple[Kind, ...] = ("correct", "wrong", "cheat")
    subjects = list(dict.fromkeys(case.subject for case in cases))
    found: list[Case] = []
    for number, subject in enumerate(subjects[::2]):
        of_kind = [case for case in cases if case.subject == subject and case.kind == kinds[number % 3]]
        found += of_kind[:1]
    return found
