"""What the client is told when the architect cannot go on alone."""

from __future__ import annotations

from collections.abc import Sequence

from worksite.architect.domain.coverage import Coverage
from worksite.architect.domain.templates import Template
from worksite.common.messages import Question

_NO_MODEL = "Anything else needs a language model, which this version cannot use yet."
_MAX_ITEMS = 20
_MAX_ITEM_LENGTH = 300


def not_covered(coverages: Sequence[Coverage], library: Sequence[Template]) -> Question:
    """No blueprint covers all of the request. `coverages` are those of the candidates, best match first."""
    fitting = [coverage for coverage in coverages if coverage.names_product]
    best = min(fitting, key=lambda coverage: len(coverage.missing), default=None)
    if best is None:
        return Question(
            reason="No blueprint makes what this request asks for.",
            missing=_shortened(coverages[0].missing) if coverages else (),
            hint=_what_blueprints_do(library),
        )
    return Question(
        reason=f"The blueprint {best.blueprint} covers a part of this request only; nothing was built.",
        covered=_shortened(best.covered),
        missing=_shortened(best.missing),
        hint=f"Ask for the covered part alone, or say the rest in other words. {_what_blueprints_do(library)}",
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


def _what_blueprints_do(library: Sequence[Template]) -> str:
    if not library:
        return f"No blueprint is installed. {_NO_MODEL}"
    return f"{' '.join(map(_offer, library))} {_NO_MODEL}"


def _offer(template: Template) -> str:
    """Name, title and one phrase per feature: these are certain to be understood."""
    blueprint = template.blueprint
    features = ", ".join(feature.phrases[0] for feature in blueprint.vocabulary.features)
    return f"The blueprint {blueprint.name} ({blueprint.title}) understands: {features}."


def _shortened(items: tuple[str, ...]) -> tuple[str, ...]:
    """A long request must not make a message that is too long."""
    texts = tuple(text if len(text) <= _MAX_ITEM_LENGTH else f"{text[:_MAX_ITEM_LENGTH]}…" for text in items)
    return texts if len(texts) <= _MAX_ITEMS else (*texts[:_MAX_ITEMS], f"and {len(texts) - _MAX_ITEMS} more")
