"""Reads the blueprints from disk, once, at start."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from worksite.architect.domain.lexicon import Lexicon
from worksite.architect.domain.templates import Template, faults, purpose
from worksite.common import blueprints
from worksite.common.errors import WorksiteError
from worksite.common.messages import FileNote, TestFile

log = logging.getLogger(__name__)

TEST_FOLDERS = ("acceptance", "unit")

Library = dict[str, Template]


def load_library(directory: Path) -> Library:
    """Every usable blueprint by name; one that is not is logged and left out."""
    library: Library = {}
    for name, folder in blueprints.catalogue(directory).items():
        try:
            library[name] = load_template(folder)
        except (WorksiteError, ValueError, OSError) as error:
            log.warning("blueprint %s is left out: %s", name, error)
    log.info("blueprints: %s", ", ".join(library) or "none")
    return library


def load_template(folder: Path) -> Template:
    """Raises BlueprintInvalid for a manifest that cannot be read or contradicts the files beside it, ValueError for a
    phrase that is not made of words, OSError."""
    blueprint = blueprints.load(folder)
    tests = tuple(_tests(folder))
    if wrong := faults(blueprint, folder.name, {test.path: test.content for test in tests}):
        raise blueprints.BlueprintInvalid("; ".join(wrong))
    return Template(
        blueprint=blueprint,
        digest=blueprints.digest(folder),
        lexicon=Lexicon(blueprint.vocabulary),
        tests=tests,
        files=tuple(_notes(folder / "template")),
    )


def _tests(folder: Path) -> Iterator[TestFile]:
    for name in TEST_FOLDERS:
        for path in sorted((folder / name).glob("*.py")):
            yield TestFile(path=f"{name}/{path.name}", content=path.read_text())


def _notes(template: Path) -> Iterator[FileNote]:
    """What each Python file of the template says it is for, with its parameters not yet filled in."""
    for path in blueprints.files(template):
        if path.name.removesuffix(".jinja").endswith(".py") and (text := purpose(path.read_text())):
            relative = path.relative_to(template).as_posix().removesuffix(".jinja")
            yield FileNote(path=relative, purpose=text)
