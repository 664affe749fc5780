"""What the client is told when the architect cannot go on alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from worksite.architect.domain.attributes import type_of
from worksite.architect.domain.consent import left_out_by
from worksite.architect.domain.coverage import Coverage
from worksite.architect.domain.fields import named_type
from worksite.architect.domain.requests import Reading
from worksite.architect.domain.templates import Template
from worksite.common.blueprints import Blueprint, Slot
from worksite.common.messages import Question

_NO_MODEL = "Anything else needs a language model: whoever runs this system can set ANTHROPIC_API_KEY."
_LEAVE_OUT = "leave it out"
_NEEDED: Mapping[Slot, str] = {"resource": "what is kept", "fields": "which fields are known {}"}
_EXAMPLES: Mapping[Slot, str] = {"resource": "books with title and price", "fields": "title, price and stock"}
_BETWEEN_FIELDS = re.compile(r"\s*,\s*(?:and\s+)?|\s+and\s+")
_TYPED_EXAMPLE = "title (text), price (decimal)"
_MAX_FEATURES = 4
_MAX_ITEMS = 20
_MAX_ITEM_LENGTH = 300


def not_covered(reading: Reading, library: Sequence[Template]) -> Question:
    """No blueprint covers all of the request, whatever the client answered so far."""
    best, unread = reading.best, _unread(reading.unread)
    if best is None:
        missing = next((coverage.missing for _, coverage in reading.coverages), ())
        return Question(
            reason=f"{unread}No blueprint makes what this request asks for.",
            missing=_shortened(tuple(item for part in missing for item in _items(part))),
            hint=what_blueprints_do(library),
        )
    missing = tuple(part for part in best.missing if part not in reading.left_out)
    needed = tuple(_NEEDED[slot].format(_thing(best)) for slot in best.unfilled)
    reasons = [*_partly(best, missing, needed), *_reserved(reading.blueprint(best), missing)]
    return Question(
        reason=f"{unread}{' '.join(reasons)} Nothing was built.",
        covered=_shortened(best.covered),
        missing=_shortened((*missing, *needed)),
        hint=f"{_how_to_answer(best)} {what_blueprints_do(library)}",
    )


def not_empty() -> Question:
    """A blueprint makes new projects."""
    return Question(
        reason="The repository already has files, and a blueprint can only start a new project.",
        hint=f"Ask for it in a new, empty project. {_NO_MODEL}",
    )


def no_fix() -> Question:
    """Faults are not for blueprints."""
    return Question(
        reason="Finding and fixing a fault takes understanding code.",
        hint=f"A blueprint cannot do that. {_NO_MODEL}",
    )


def nothing_found() -> Question:
    """The knowledge base has no answer."""
    return Question(
        reason="The knowledge base holds no passage that is about this question.",
        hint="Ask in the words of your documents, or add documents that answer it.",
    )


def what_blueprints_do(library: Sequence[Template]) -> str:
    """One request per blueprint that is certain to be understood."""
    if not library:
        return f"No blueprint is installed. {_NO_MODEL}"
    offers = "; ".join(f"{template.blueprint.name} makes “{headline(template.blueprint)}”" for template in library)
    return f"Understood for certain: {offers}. {_NO_MODEL}"


def headline(blueprint: Blueprint) -> str:
    """A request for the blueprint's product, with a few of its features, or with slots filled."""
    vocabulary = blueprint.vocabulary
    product = min(vocabulary.product, key=_by_form)
    if vocabulary.slots:
        return f"{product} for books with title, price and stock"
    features = [feature.phrases[0] for feature in vocabulary.features[:_MAX_FEATURES]]
    return f"{product} with {', '.join(features)}" if features else product


def _by_form(product: str) -> int:
    """Names that say of themselves that they are a service come first."""
    place = [product.startswith("crud"), product.endswith("system"), product.endswith("service")]
    return place.index(True) if any(place) else len(place)


def _how_to_answer(best: Coverage) -> str:
    ways: list[str] = []
    resource = best.filling.resource
    untyped = list(_typed_examples(best.residue_after_product)) if resource else []
    if best.unfilled and not untyped:
        example = _TYPED_EXAMPLE if resource and resource.open else _EXAMPLES[best.unfilled[0]]
        ways.append(f"answer in the manner of “{example}”")
    elif best.left_out_are(left_out_by(_LEAVE_OUT, best.residue_after_product)):
        ways.append(f"answer “{_LEAVE_OUT}” to build the covered part alone")
    if untyped:
        ways.append(f"give a field that is not known its type: answer “{', '.join(untyped[:_MAX_FEATURES])}”")
    ways.append("repeat the whole request in other words")
    text = "; or ".join(ways)
    return f"{text[0].upper()}{text[1:]}."


def _typed_examples(missing: Sequence[str]) -> Iterator[str]:
    """Missing parts that would be fields if they had a type, with one."""
    for part in missing:
        for words in _BETWEEN_FIELDS.split(part.rstrip(".!")):
            if kind := type_of(words.lower()) or named_type(words):
                yield f"{words} ({kind})"


def _partly(best: Coverage, missing: Sequence[str], needed: Sequence[str]) -> Iterator[str]:
    if missing or not needed:
        yield f"The blueprint {best.blueprint} covers a part of this request only."
    if needed:
        yield f"The request does not say {' and '.join(needed)}."


def _reserved(blueprint: Blueprint, missing: Sequence[str]) -> Iterator[str]:
    """Names that would be fields, were they not the service's own."""
    parameter = blueprint.parameters.get("fields")
    for part in missing:
        name = "_".join(re.findall(r"[a-z0-9]+", part.lower().partition(":")[0]))
        if parameter and re.fullmatch(r"[a-z]\w{0,39}", name) and not re.fullmatch(parameter.pattern, f"{name}:text"):
            yield f"“{_cut(part)}” cannot be a field: the service has that name for itself."


def _thing(best: Coverage) -> str:
    resource = best.filling.resource
    return f"of {resource.plural.replace('_', ' ')}" if resource else "of it"


def _items(part: str) -> Sequence[str]:
    """What nothing was understood of, less in one block: "my wine cellar: name, price" are three items."""
    head, colon, rest = part.partition(": ")
    return (head, *_BETWEEN_FIELDS.split(rest)) if colon and rest else (part,)


def _unread(answer: str | None) -> str:
    return f"The answer “{_cut(answer)}” does not settle it. " if answer else ""


def _shortened(items: tuple[str, ...]) -> tuple[str, ...]:
    """A long request must not make a message that is too long."""
    texts = tuple(map(_cut, items))
    return texts if len(texts) <= _MAX_ITEMS else (*texts[:_MAX_ITEMS], f"and {len(texts) - _MAX_ITEMS} more")


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_ITEM_LENGTH else f"{text[:_MAX_ITEM_LENGTH]}…"
