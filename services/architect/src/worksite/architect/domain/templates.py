"""A blueprint with everything of it that goes into a Spec, before its parameters are filled in."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from worksite.architect.domain.lexicon import Lexicon
from worksite.common.blueprints import Blueprint, Slot
from worksite.common.messages import Criterion, FileNote, TestFile

SLOT_PARAMETERS: Mapping[Slot, tuple[str, ...]] = {"resource": ("resource", "plural"), "fields": ("fields",)}
_DOCSTRING = re.compile(r'\A(?:#[^\n]*\n|\s)*"""(.+?)(?:\n\s*\n|""")', re.DOTALL)


@dataclass(frozen=True)
class Template:
    """`digest` pins the files; `tests` travel in the Spec; `files` says what the project's files are for."""

    blueprint: Blueprint
    digest: str
    lexicon: Lexicon
    tests: tuple[TestFile, ...]
    files: tuple[FileNote, ...]


def faults(blueprint: Blueprint, folder: str, tests: Mapping[str, str]) -> list[str]:
    """What in a manifest contradicts the files beside it or itself; `tests` are contents by path."""
    return [*_naming(blueprint, folder), *_proofs(blueprint, tests)]


def purpose(source: str) -> str | None:
    """The first paragraph of a Python file's docstring, on one line."""
    found = _DOCSTRING.match(source)
    return " ".join(found[1].replace("``", "").split()) if found else None


def render(text: str, parameters: Mapping[str, str]) -> str:
    """Fill in parameters, written as `{{ name }}` in templates and as `{name}` in manifests."""
    for name, value in parameters.items():
        text = text.replace(f"{{{{ {name} }}}}", value).replace(f"{{{name}}}", value)
    return text


def render_code(text: str, parameters: Mapping[str, str]) -> str:
    """Fill in parameters in Python, where only `{{ name }}` is one: `{name}` may stand in an f-string."""
    for name, value in parameters.items():
        text = text.replace(f"{{{{ {name} }}}}", value)
    return text


def _naming(blueprint: Blueprint, folder: str) -> Iterator[str]:
    if blueprint.name != folder:
        yield f"its name is {blueprint.name}, its folder's {folder}"
    for name, parameter in blueprint.parameters.items():
        if not re.fullmatch(parameter.pattern, parameter.default):
            yield f"the default of {name} does not match its pattern"
    for slot in blueprint.vocabulary.slots:
        for missing in [name for name in SLOT_PARAMETERS[slot] if name not in blueprint.parameters]:
            yield f"slot {slot}: there is no parameter {missing}"


def _proofs(blueprint: Blueprint, tests: Mapping[str, str]) -> Iterator[str]:
    """Every criterion is unique and its test exists; every feature is proved by tested criteria."""
    counts = Counter(criterion.id for criterion in blueprint.criteria)
    yield from (f"criterion {name} stands there twice" for name, count in counts.items() if count > 1)
    yield from (f"{c.id}: there is no test {c.test}" for c in blueprint.criteria if c.test and not _exists(c, tests))
    tested = {criterion.id for criterion in blueprint.criteria if criterion.test}
    for feature in blueprint.vocabulary.features:
        for unproved in set(feature.criteria) - tested:
            yield f"feature {feature.id}: there is no tested criterion {unproved}"


def _exists(criterion: Criterion, tests: Mapping[str, str]) -> bool:
    path, _, function = (criterion.test or "").partition("::")
    return re.search(rf"^(?:async )?def {re.escape(function)}\(", tests.get(path, ""), re.MULTILINE) is not None
