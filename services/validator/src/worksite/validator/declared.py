"""What a project declares for its own judgement, and who changed it."""

from __future__ import annotations

from collections.abc import Iterator

from worksite.validator.bench import Change
from worksite.validator.domain.declaration import (
    FILE,
    MAX_BYTES,
    Declaration,
    InvalidDeclaration,
    is_acceptance,
    read_declaration,
)
from worksite.validator.domain.judgement import ACCEPTANCE_FOLDER
from worksite.validator.tree import Tree


def declared_by(tree: Tree) -> Declaration:
    """Raises InvalidDeclaration."""
    if FILE not in tree.files:
        return Declaration()
    with (tree.path / FILE).open("rb") as file:
        text = file.read(MAX_BYTES + 1).decode(errors="replace")
    modules = {name: (tree.path / name).read_text(errors="replace") for name in tree.files if is_acceptance(name)}
    return read_declaration({FILE: text, **modules})


def fault_of(tree: Tree) -> str | None:
    """Why the declaration of a tree counts as none, if so."""
    try:
        declared_by(tree)
    except InvalidDeclaration as error:
        return str(error)
    return None


def rewritten(change: Change) -> Iterator[str]:
    """Files by which changes are judged, `worksite.toml` and those in `acceptance/`, that this one changes unasked. A
    test that the Spec brings may be written down as it is there, and not otherwise."""
    asked = {note.path for note in change.spec.files} | set(change.spec.removed_tests)
    given = {test.path: test.content.encode() for test in change.spec.tests}
    before = change.base.files if change.base else ()
    for name in sorted({*before, *change.head.tree.files}):
        if name == FILE or name.startswith(ACCEPTANCE_FOLDER):
            now = _content(change.head.tree, name)
            allowed = now == given[name] if name in given else name in asked
            if now != _content(change.base, name) and not allowed:
                yield name


def _content(tree: Tree | None, name: str) -> bytes | None:
    return (tree.path / name).read_bytes() if tree and name in tree.files else None
