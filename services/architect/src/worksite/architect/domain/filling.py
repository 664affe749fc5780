"""What a request puts into the slots of a blueprint, and whether that is one consistent thing."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from worksite.architect.domain.fields import Field
from worksite.architect.domain.nouns import is_plural
from worksite.architect.domain.parsing import Step
from worksite.architect.domain.resources import Resource
from worksite.common.blueprints import Blueprint, Slot


@dataclass(frozen=True, slots=True)
class Filling:
    """`resource` and `fields` as the request names them."""

    resource: Resource | None = None
    fields: tuple[Field, ...] = ()

    @property
    def parameters(self) -> dict[str, str]:
        """As the blueprint takes them; none for a blueprint without slots."""
        values: dict[str, str] = {}
        if self.resource:
            values |= {"resource": self.resource.singular, "plural": self.resource.plural}
        if self.fields:
            values["fields"] = ",".join(field.written for field in self.fields)
        return values

    def unfilled(self, slots: Sequence[Slot]) -> tuple[Slot, ...]:
        """The slots of a blueprint that nothing was said about."""
        return tuple(slot for slot in slots if not (self.resource if slot == "resource" else self.fields))

    def proves(self, criterion_type: str | None) -> bool:
        """Does a criterion hold for this project, or is there no field that it is about?"""
        return criterion_type is None or any(field.type == criterion_type for field in self.fields)


NOTHING = Filling()


def fill(blueprint: Blueprint, steps: Sequence[Step], kept: Sequence[bool]) -> tuple[Filling, frozenset[int]]:
    """What the steps fill in, and the steps that do not agree with the others: another resource, the same field again,
    a name that the blueprint refuses, nothing but doubtful fields, a feature of fields that there are none of."""
    resource = _resource(steps, kept)
    wrong = set(_other_resources(steps, resource)) | set(_wrong_fields(blueprint, steps, kept, resource))
    wrong |= set(_refused_resource(blueprint, steps, resource)) | set(_unclear_bearers(steps))
    fields = tuple(field for index, field in _fields(steps, kept) if index not in wrong)
    filling = Filling(resource, fields)
    wrong |= set(_features_of_nothing(blueprint, steps, filling)) if fields else set()
    return filling, frozenset(wrong)


def _resource(steps: Sequence[Step], kept: Sequence[bool]) -> Resource | None:
    named = [step.symbol for step, keep in zip(steps, kept, strict=True) if keep and step.symbol]
    products = (symbol.slot for symbol in named if symbol.kind in {"product", "purpose"})
    return next((slot for slot in products if isinstance(slot, Resource)), None)


def _other_resources(steps: Sequence[Step], resource: Resource | None) -> Iterator[int]:
    """With the fields that are said to be theirs."""
    foreign = False
    for index, step in enumerate(steps):
        if step.symbol is None:
            continue
        slot = step.symbol.slot
        if isinstance(slot, Resource):
            foreign = resource is not None and not slot.same_as(resource)
        elif step.symbol.kind == "end":
            foreign = False
        if foreign and isinstance(slot, Resource | Field):
            yield index


def _refused_resource(blueprint: Blueprint, steps: Sequence[Step], resource: Resource | None) -> Iterator[int]:
    """Every step that names a resource whose parameters the blueprint does not take."""
    values = Filling(resource).parameters
    if all(_fits(blueprint, name, value) for name, value in values.items()):
        return
    yield from (index for index, step in enumerate(steps) if step.symbol and isinstance(step.symbol.slot, Resource))


def _unclear_bearers(steps: Sequence[Step]) -> Iterator[int]:
    """In "books with pages, each with a title" the title may be that of a page."""
    plural = False
    for index, step in enumerate(steps):
        if step.symbol and isinstance(step.symbol.slot, Field):
            plural = is_plural(step.symbol.slot.name.rpartition("_")[2])
        elif step.symbol and step.symbol.kind == "bearer" and step.symbol.slot is None and plural:
            yield index


def _fields(steps: Sequence[Step], kept: Sequence[bool]) -> Iterator[tuple[int, Field]]:
    for index, (step, keep) in enumerate(zip(steps, kept, strict=True)):
        if keep and step.symbol and isinstance(step.symbol.slot, Field):
            yield index, step.symbol.slot


def _wrong_fields(
    blueprint: Blueprint, steps: Sequence[Step], kept: Sequence[bool], resource: Resource | None
) -> Iterator[int]:
    taken: list[str] = []
    clear = False
    typed = resource is None or not resource.open or any(not field.assumed for _, field in _fields(steps, kept))
    for index, field in _fields(steps, kept):
        symbol = steps[index].symbol
        clear = clear or (symbol is not None and symbol.kind != "doubtful field")
        if field.name in {name.split(":")[0] for name in taken} or not _fits(
            blueprint, "fields", ",".join((*taken, field.written))
        ):
            yield index
        else:
            taken.append(field.written)
    if not (clear and typed):
        yield from (index for index, _ in _fields(steps, kept))


def _features_of_nothing(blueprint: Blueprint, steps: Sequence[Step], filling: Filling) -> Iterator[int]:
    types: Mapping[str, str | None] = {criterion.id: criterion.field_type for criterion in blueprint.criteria}
    hollow = {
        feature.id
        for feature in blueprint.vocabulary.features
        if not all(filling.proves(types.get(criterion)) for criterion in feature.criteria)
    }
    yield from (index for index, step in enumerate(steps) if step.symbol and step.symbol.feature in hollow)


def _fits(blueprint: Blueprint, name: str, value: str) -> bool:
    parameter = blueprint.parameters.get(name)
    return parameter is None or re.fullmatch(parameter.pattern, value) is not None
