"""Schemas that providers can enforce, and replies checked against the whole model."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Literal
from uuid import UUID

import anthropic
import jsonschema
import pytest
from pydantic import BaseModel, ConfigDict, Field
from worksite.common.llm import Completion, Text, Usage, parsed, schema_of
from worksite.common.llm.errors import OutputRejected


class Colour(Enum):
    RED = "Red"
    BLUE = "blue"


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = Field(ge=1, le=9, description="how many are left")


class Dog(BaseModel):
    kind: Literal["dog"]
    name: str = Field(max_length=20, pattern="^[a-z]+$")


class Everything(BaseModel):
    model_config = ConfigDict(extra="forbid")
    colour: Colour
    level: Literal["low", "HIGH"]
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    others: list[Cat] = []
    named: list[str] = Field(min_length=1)
    many: list[int] = Field(default=[], min_length=3)
    at: datetime | None = None
    id: UUID | None = None
    price: Decimal = Decimal(1)


def said(text: str, **more: Any) -> Completion:
    given = {"id": "m", "model": "x", "content": (Text(text=text),), "stop_reason": "end_turn", "usage": Usage()}
    return Completion.model_validate(given | more)


def without_hints(node: Any) -> Any:
    """Descriptions are for the model; how a hint is worded is each one's own."""
    if isinstance(node, dict):
        return {key: without_hints(value) for key, value in node.items() if key != "description"}
    return [without_hints(item) for item in node] if isinstance(node, list) else node


@pytest.mark.parametrize("model", [Everything, Cat, Dog], ids=lambda m: m.__name__)
def test_the_schema_is_the_one_that_the_vendors_sdk_would_send(model: type[BaseModel]) -> None:
    assert without_hints(schema_of(model)) == without_hints(anthropic.transform_schema(model))


def test_a_bound_that_cannot_be_enforced_is_told_in_the_description() -> None:
    lives = schema_of(Cat)["properties"]["lives"]  # pyright: ignore
    assert lives["description"] == "how many are left\n\n{maximum: 9, minimum: 1}"  # pyright: ignore


def test_the_schema_is_one_itself() -> None:
    jsonschema.Draft202012Validator.check_schema(schema_of(Everything))


class Mapping(BaseModel):
    env: dict[str, str]


class Pair(BaseModel):
    pair: tuple[int, str]


class Anything(BaseModel):
    value: Any


class Tree(BaseModel):
    children: list[Tree]


class Ring(BaseModel):
    link: Link


class Link(BaseModel):
    ring: Ring | None


@pytest.mark.parametrize(
    ("model", "reason"),
    [(Mapping, "mapping"), (Pair, "tuple"), (Anything, "anything"), (Tree, "itself"), (Ring, "itself")],
)
def test_what_could_not_be_enforced_as_meant_is_refused_when_the_program_is_written(
    model: type[BaseModel], reason: str
) -> None:
    with pytest.raises(ValueError, match=reason):
        schema_of(model)


def test_words_of_a_closed_vocabulary_may_come_in_any_case() -> None:
    reply = said('{"colour": "RED", "level": "high", "pet": {"kind": "CAT", "lives": 3}, "named": ["Blue"]}')
    found = parsed(reply, Everything)
    assert (found.colour, found.level, found.pet) == (Colour.RED, "HIGH", Cat(kind="cat", lives=3))
    assert found.named == ["Blue"]


def test_bounds_that_the_provider_cannot_enforce_are_checked_here_with_words_for_the_model() -> None:
    with pytest.raises(OutputRejected, match=r"lives: .*less than or equal to 9") as rejected:
        parsed(said('{"kind": "cat", "lives": 10}'), Cat)
    assert rejected.value.reason == "unusable"
    assert "pydantic" not in rejected.value.detail


@pytest.mark.parametrize("text", ["", "I think it is a cat.", '{"kind": "cat", "li', '```json\n{"kind":"cat"}\n```'])
def test_prose_is_never_searched_for_json(text: str) -> None:
    with pytest.raises(OutputRejected, match="not JSON"):
        parsed(said(text), Cat)


def test_a_reply_in_two_texts_is_read_as_one() -> None:
    halves = (Text(text='{"kind": "cat",'), Text(text=' "lives": 1}'))
    assert parsed(said("", content=halves), Cat).lives == 1


@pytest.mark.parametrize("stop", ["max_tokens", "model_context_window_exceeded"])
def test_a_reply_that_was_cut_off_is_rejected_even_if_it_fits(stop: str) -> None:
    with pytest.raises(OutputRejected) as rejected:
        parsed(said('{"kind": "cat", "lives": 1}', stop_reason=stop), Cat)
    assert rejected.value.reason == "cut_off"
