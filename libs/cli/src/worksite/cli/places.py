"""Where Worksite's own files lie, whichever folder a command is typed in.

A command about somebody's repository is typed in that repository, and leaves nothing there: blueprints, state and
results are those of Worksite's checkout.
"""

from __future__ import annotations

import os
from pathlib import Path

_CHECKOUT = ("blueprints", "policies")
_INSTALLED_FROM = Path(__file__).resolve().parents[5]
"""The checkout of an editable install; of any other, some folder that is none."""


def home() -> Path:
    """WORKSITE_ROOT, else the folder we are in where that is a checkout, else the one that this command was installed
    from; without any, the folder we are in."""
    if named := os.environ.get("WORKSITE_ROOT"):
        return Path(named).absolute()
    found = (place for place in (Path.cwd(), _INSTALLED_FROM) if is_checkout(place))
    return next(found, Path.cwd())


def is_checkout(place: Path) -> bool:
    """Whether a stack can be started from it."""
    return all((place / name).is_dir() for name in _CHECKOUT)


def state() -> Path:
    """Of the stack on this machine."""
    return _below_home(".worksite")


def results() -> Path:
    """Of finished tasks."""
    return _below_home("out")


def _below_home(name: str) -> Path:
    """Short where that names the same."""
    return Path(name) if home() == Path.cwd() else home() / name
