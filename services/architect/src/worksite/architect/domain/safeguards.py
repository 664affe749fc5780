"""What judges a project now and a Spec lets go or change: no model decides that alone.

The validator goes by the base's tests, `worksite.toml` and acceptance tests, unless the Spec lets them go; so a model
that was talked into it could loosen what its own work is judged by. An approver sees these names first.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator

from worksite.common.messages import Spec

DECLARATION, ACCEPTANCE = "worksite.toml", "acceptance/"
"""What a project declares for its own judgement, and where its acceptance tests lie."""


def loosened(spec: Spec, existing: Collection[str]) -> tuple[str, ...]:
    """Tests that may go, files of the declaration that may change, and tests of the Spec in the place of the project's,
    which has the files `existing`. Each once; nothing where there is no project yet."""
    return tuple(dict.fromkeys(_loosened(spec, existing))) if existing else ()


def _loosened(spec: Spec, existing: Collection[str]) -> Iterator[str]:
    yield from spec.removed_tests
    own = [test.path for test in spec.tests]
    yield from (note.path for note in spec.files if _judges(note.path) and note.path not in own)
    yield from (path for path in own if _judges(path) and path in existing)


def _judges(path: str) -> bool:
    return path == DECLARATION or path.startswith(ACCEPTANCE)
