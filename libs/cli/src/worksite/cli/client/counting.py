"""How much of some work is done: a bar on a terminal, elsewhere a line now and then."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

EVERY = 500
"""Elsewhere than on a terminal, a line for so many, and one at the end."""


@contextlib.contextmanager
def counting(console: Console, what: str, total: int) -> Generator[Callable[[int], None]]:
    """Yields what is told how many are done so far."""
    if not console.is_terminal:
        yield _lines(console, what, total)
        return
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    with Progress(*columns, console=console) as progress:
        bar = progress.add_task(what, total=total)
        yield lambda done: progress.update(bar, completed=done)


def _lines(console: Console, what: str, total: int) -> Callable[[int], None]:
    said = 0

    def reached(done: int) -> None:
        nonlocal said
        if done - said >= EVERY or (done >= total and done > said):
            said = done
            console.print(f"{what} {done}/{total}", highlight=False, markup=False, soft_wrap=True)

    return reached
