"""Does one blueprint deliver everything that a request asks for (ADR 0006)?"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from worksite.architect.domain.fields import Field
from worksite.architect.domain.filling import NOTHING, Filling, fill
from worksite.architect.domain.grammar import NEGATIONS
from worksite.architect.domain.lexicon import Lexicon
from worksite.architect.domain.parsing import Step, parse
from worksite.architect.domain.words import Token, tokenise
from worksite.common.blueprints import Blueprint, Slot

_PRODUCTS = {"product", "activity"}
_CONTENT = _PRODUCTS | {
    "form",
    "feature",
    "thing",
    "action",
    "duty",
    "fate",
    "modifier",
    "technology",
    "linked",
    "global",
    "bearer",
    "own field",
    "purpose",
    "field",
    "doubtful field",
    "open field",
}
_RELATIVES = {"that", "which", "who", "where", "and", "but", "without"}
"""Residue that begins with one of these says nothing about the field before it."""
_SEPARATORS = {"and", "end", "colon", "bullet"}


@dataclass(frozen=True, slots=True)
class Coverage:
    """`covered` and `missing` are in the client's own words; `criteria` are those that the named features demand;
    `residue` says where in the request the missing stands, from where to where; `closed` that the rest of the request
    is a whole sentence around it."""

    blueprint: str
    covered: tuple[str, ...]
    missing: tuple[str, ...]
    criteria: tuple[str, ...]
    names_product: bool
    filling: Filling = NOTHING
    unfilled: tuple[Slot, ...] = ()
    residue: tuple[tuple[int, int], ...] = ()
    residue_after_product: tuple[str, ...] = ()
    closed: bool = False

    @property
    def full(self) -> bool:
        """Nothing that the client wrote is left over, and nothing that has to be known is open."""
        return not self.missing and not self.unfilled

    def left_out_are(self, given_up: Collection[str]) -> bool:
        """Is it full but for what the client gave up? What stands before the product says what kind of task or product
        is meant, and cannot be given up."""
        fitting = self.closed and self.names_product and not self.unfilled
        return fitting and set(self.missing) <= set(given_up) & set(self.residue_after_product)


def cover(request: str, blueprint: Blueprint, lexicon: Lexicon) -> Coverage:
    """Read a request by one blueprint's vocabulary. Never fails, whatever the text."""
    tokens = tokenise(request)
    parsed = parse(tokens, lexicon)
    kept = _untainted(parsed.steps, tokens)
    filling, wrong = fill(blueprint, parsed.steps, kept)
    kept = [keep and index not in wrong for index, keep in enumerate(kept)]
    residue = tuple(_residue(tokens, parsed.steps, kept))
    missing = tuple(dict.fromkeys(request[start:end] for start, end in residue))
    named = [step for step, keep in zip(parsed.steps, kept, strict=True) if keep and _is_content(step)]
    product_end = max((tokens[step.end - 1].end for step in named if _is_product(step)), default=len(request))
    return Coverage(
        blueprint=blueprint.name,
        covered=tuple(dict.fromkeys(_text(request, tokens, step) for step in named)),
        missing=() if parsed.complete and not wrong else missing or (request.strip(),),
        criteria=_criteria(blueprint, named),
        names_product=any(map(_is_product, named)),
        filling=filling,
        unfilled=filling.unfilled(blueprint.vocabulary.slots),
        residue=residue,
        residue_after_product=tuple(request[start:end] for start, end in residue if start >= product_end),
        closed=parsed.closed,
    )


def _criteria(blueprint: Blueprint, named: Sequence[Step]) -> tuple[str, ...]:
    demanded = {step.symbol.feature for step in named if step.symbol}
    features = (feature for feature in blueprint.vocabulary.features if feature.id in demanded)
    return tuple(dict.fromkeys(criterion for feature in features for criterion in feature.criteria))


def _untainted(steps: Sequence[Step], tokens: Sequence[Token]) -> list[bool]:
    """Which steps may be reported as understood: not residue, no feature beside residue ("OAuth login", "login by
    phone"), no small word between residue, and nothing after a negation in its sentence."""
    kept = [step.symbol is not None for step in steps]
    negated = strange = False
    for index, step in enumerate(steps):
        strange = _speaks_of_residue(steps, index, before=strange)
        if step.symbol is None:
            negated = negated or tokens[step.start].word in NEGATIONS
            _taint_neighbours(kept, steps, tokens, index)
        elif step.symbol.kind == "end":
            negated = False
        elif negated or (strange and isinstance(step.symbol.slot, Field)):
            kept[index] = False
    return [keep and not _enclosed(kept, steps, index) for index, keep in enumerate(kept)]


def _speaks_of_residue(steps: Sequence[Step], index: int, *, before: bool) -> bool:
    """Are the fields that follow those of something that was not understood, as in "and authors with a name"?"""
    symbol = steps[index].symbol
    if symbol is None:
        return before
    if symbol.kind == "bearing":
        return index > 0 and steps[index - 1].symbol is None
    told = symbol.kind in {"end", "announce"} or (symbol.kind == "bearer" and symbol.slot is not None)
    return before and not told


def _taint_neighbours(kept: list[bool], steps: Sequence[Step], tokens: Sequence[Token], residue: int) -> None:
    for beside in (residue - 1, residue + 1):
        if 0 <= beside < len(steps) and (symbol := steps[beside].symbol):
            apart = beside < residue and tokens[steps[residue].start].word in _RELATIVES
            if symbol.feature or (isinstance(symbol.slot, Field) and not apart):
                kept[beside] = False


def _enclosed(kept: Sequence[bool], steps: Sequence[Step], index: int) -> bool:
    symbol = steps[index].symbol
    inner = 0 < index < len(steps) - 1 and not kept[index - 1] and not kept[index + 1]
    return inner and symbol is not None and symbol.kind not in _CONTENT | _SEPARATORS


def _residue(tokens: Sequence[Token], steps: Sequence[Step], kept: Sequence[bool]) -> Iterator[tuple[int, int]]:
    """Where each stretch of residue stands that is more than a mark."""
    for stretch in _stretches(steps, kept):
        first, last = stretch[0].start, stretch[-1].end
        if any(_says_something(token) for token in tokens[first:last]):
            yield tokens[first].start, tokens[last - 1].end


def _stretches(steps: Sequence[Step], kept: Sequence[bool]) -> Iterator[list[Step]]:
    for keep, group in groupby(zip(steps, kept, strict=True), key=lambda pair: pair[1]):
        if not keep:
            yield [step for step, _ in group]


def _says_something(token: Token) -> bool:
    return token.word is None or token.word.isalnum()


def _text(request: str, tokens: Sequence[Token], step: Step) -> str:
    return request[tokens[step.start].start : tokens[step.end - 1].end]


def _is_product(step: Step) -> bool:
    return step.symbol is not None and step.symbol.kind in _PRODUCTS


def _is_content(step: Step) -> bool:
    return step.symbol is not None and step.symbol.kind in _CONTENT
