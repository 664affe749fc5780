"""Does one blueprint deliver everything that a request asks for (ADR 0006)?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from worksite.architect.domain.grammar import NEGATIONS
from worksite.architect.domain.lexicon import Lexicon
from worksite.architect.domain.parsing import Step, parse
from worksite.architect.domain.words import Token, tokenise
from worksite.common.blueprints import Blueprint

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
}
_SEPARATORS = {"and", "end", "colon", "bullet"}


@dataclass(frozen=True, slots=True)
class Coverage:
    """`covered` and `missing` are in the client's own words; `criteria` are those that the named features demand."""

    blueprint: str
    covered: tuple[str, ...]
    missing: tuple[str, ...]
    criteria: tuple[str, ...]
    names_product: bool

    @property
    def full(self) -> bool:
        """Nothing that the client wrote is left over."""
        return not self.missing


def cover(request: str, blueprint: Blueprint, lexicon: Lexicon) -> Coverage:
    """Read a request by one blueprint's vocabulary. Never fails, whatever the text."""
    tokens = tokenise(request)
    parsed = parse(tokens, lexicon)
    kept = _untainted(parsed.steps, tokens)
    missing = _missing(request, tokens, parsed.steps, kept)
    named = [step for step, keep in zip(parsed.steps, kept, strict=True) if keep and _is_content(step)]
    return Coverage(
        blueprint=blueprint.name,
        covered=tuple(dict.fromkeys(_text(request, tokens, step, step) for step in named)),
        missing=() if parsed.complete else missing or (request.strip(),),
        criteria=_criteria(blueprint, named),
        names_product=any(step.symbol and step.symbol.kind in _PRODUCTS for step in named),
    )


def _criteria(blueprint: Blueprint, named: Sequence[Step]) -> tuple[str, ...]:
    demanded = {step.symbol.feature for step in named if step.symbol}
    features = (feature for feature in blueprint.vocabulary.features if feature.id in demanded)
    return tuple(dict.fromkeys(criterion for feature in features for criterion in feature.criteria))


def _untainted(steps: Sequence[Step], tokens: Sequence[Token]) -> list[bool]:
    """Which steps may be reported as understood: not residue, no feature beside residue ("OAuth login", "login by
    phone"), no small word between residue, and nothing after a negation in its sentence."""
    kept = [step.symbol is not None for step in steps]
    negated = False
    for index, step in enumerate(steps):
        if step.symbol is None:
            negated = negated or tokens[step.start].word in NEGATIONS
            _taint_neighbours(kept, steps, index)
        elif step.symbol.kind == "end":
            negated = False
        elif negated:
            kept[index] = False
    return [keep and not _enclosed(kept, steps, index) for index, keep in enumerate(kept)]


def _taint_neighbours(kept: list[bool], steps: Sequence[Step], residue: int) -> None:
    for beside in (residue - 1, residue + 1):
        if 0 <= beside < len(steps) and (symbol := steps[beside].symbol) and symbol.feature:
            kept[beside] = False


def _enclosed(kept: Sequence[bool], steps: Sequence[Step], index: int) -> bool:
    symbol = steps[index].symbol
    inner = 0 < index < len(steps) - 1 and not kept[index - 1] and not kept[index + 1]
    return inner and symbol is not None and symbol.kind not in _CONTENT | _SEPARATORS


def _missing(request: str, tokens: Sequence[Token], steps: Sequence[Step], kept: Sequence[bool]) -> tuple[str, ...]:
    """The client's words for each stretch of residue that is more than a mark."""
    return tuple(
        dict.fromkeys(
            _text(request, tokens, stretch[0], stretch[-1])
            for stretch in _stretches(steps, kept)
            if any(_says_something(token) for token in tokens[stretch[0].start : stretch[-1].end])
        )
    )


def _stretches(steps: Sequence[Step], kept: Sequence[bool]) -> Iterator[list[Step]]:
    for keep, group in groupby(zip(steps, kept, strict=True), key=lambda pair: pair[1]):
        if not keep:
            yield [step for step, _ in group]


def _says_something(token: Token) -> bool:
    return token.word is None or token.word.isalnum()


def _text(request: str, tokens: Sequence[Token], first: Step, last: Step) -> str:
    return request[tokens[first.start].start : tokens[last.end - 1].end]


def _is_content(step: Step) -> bool:
    return step.symbol is not None and step.symbol.kind in _CONTENT
