"""Reads a request with the least residue: the cheapest path through the grammar's automaton.

Every step either consumes a phrase, for nothing, or skips a token as residue, for 1: an error-correcting parse (Aho and
Peterson, 1972) on a finite automaton, by dynamic programming. A request is covered only at cost 0; any other path
explains what is missing. Time is linear in the tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from worksite.architect.domain.grammar import BEFORE_PRODUCT, FINAL, LINE_ENDS, RESIDUE, START, TRANSITIONS, State
from worksite.architect.domain.lexicon import Lexicon, Symbol
from worksite.architect.domain.words import Token

MAX_TOKENS = 600
"""What a person writes about one product fits many times over; the rest of a longer text is residue unread."""


@dataclass(frozen=True, slots=True)
class Step:
    """Consumed a phrase, or with `symbol` None skipped one token."""

    start: int
    end: int
    symbol: Symbol | None


@dataclass(frozen=True, slots=True)
class Parse:
    """`complete`: a whole sentence of the grammar, without residue; `closed`: one at least with residue in it."""

    steps: tuple[Step, ...]
    complete: bool
    closed: bool


@dataclass(frozen=True, slots=True)
class _Path:
    """`length` breaks ties: fewer, longer phrases win."""

    cost: int
    length: int
    last: Step | None
    before: _Path | None

    def then(self, step: Step) -> _Path:
        return _Path(self.cost + (step.symbol is None), self.length + 1, step, self)

    def better_than(self, other: _Path | None) -> bool:
        return other is None or (self.cost, self.length) < (other.cost, other.length)


def parse(tokens: Sequence[Token], lexicon: Lexicon) -> Parse:
    """The path with the least residue, and among those the one with the longest phrases."""
    read = tokens[:MAX_TOKENS]
    places: list[dict[State, _Path]] = [{} for _ in range(len(read) + 1)]
    places[0][START] = _Path(0, 0, None, None)
    for index in range(len(read)):
        if read[index].starts_line:
            _end_line(places[index])
        symbols = lexicon.at(read, index)
        for state, path in tuple(places[index].items()):
            for step, target in _moves(state, index, symbols):
                _offer(places[step.end], target, path.then(step))
    finals = places[-1]
    state, best = min(finals.items(), key=lambda item: (item[1].cost + (item[0] not in FINAL), item[1].length))
    closed = state in FINAL and len(read) == len(tokens)
    unread = tuple(Step(index, index + 1, None) for index in range(len(read), len(tokens)))
    return Parse((*_steps(best), *unread), closed and best.cost == 0, closed)


def _end_line(place: dict[State, _Path]) -> None:
    for state, path in tuple(place.items()):
        if target := LINE_ENDS.get(state):
            _offer(place, target, path)
            if state not in FINAL:
                del place[state]


def _moves(state: State, index: int, symbols: Sequence[Symbol]) -> Iterator[tuple[Step, State]]:
    for symbol in symbols:
        target = state if symbol.kind == "filler" else TRANSITIONS[state].get(symbol.kind)
        if target:
            yield Step(index, symbol.end, symbol), target
    yield Step(index, index + 1, None), state
    if state not in BEFORE_PRODUCT:  # residue may stand for an item, or spoil a sentence
        yield Step(index, index + 1, None), "sentence" if _ends(symbols) else RESIDUE.get(state, "listed")


def _ends(symbols: Sequence[Symbol]) -> bool:
    return any(symbol.kind == "end" for symbol in symbols)


def _offer(place: dict[State, _Path], state: State, path: _Path) -> None:
    if path.better_than(place.get(state)):
        place[state] = path


def _steps(path: _Path) -> tuple[Step, ...]:
    steps: list[Step] = []
    while path.last and path.before:
        steps.append(path.last)
        path = path.before
    return tuple(reversed(steps))
