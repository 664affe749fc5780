"""How different people ask: `tests/wordings` at the project's root, against the blueprints that ship."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from worksite.architect.domain.questions import not_covered
from worksite.architect.domain.requests import Reading, read
from worksite.architect.library import Library

FOLDER = Path(__file__).parents[4] / "tests" / "wordings"
BLUEPRINTS = ("auth-service", "crud-service", "url-shortener", "webhook-receiver")
MUST_SERVE = 8


@dataclass(frozen=True)
class Wording:
    request: str
    parameters: dict[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


def wordings(name: str) -> list[Wording]:
    listed: list[dict[str, Any]] = tomllib.loads((FOLDER / f"{name}.toml").read_text())["wordings"]
    return [Wording(**entry) for entry in listed]


def understood(wording: Wording, library: Library) -> Reading:
    return read(wording.request, (), tuple(library.values()))


@pytest.mark.parametrize("blueprint", BLUEPRINTS)
def test_of_ten_wordings_most_are_served_and_none_wrongly(shipped: Library, blueprint: str):
    served: list[str] = []
    for wording in wordings(blueprint):
        if chosen := understood(wording, shipped).chosen:
            template, commission = chosen
            assert template.blueprint.name == blueprint, wording.request
            assert commission.filling.parameters == wording.parameters, wording.request
            served.append(wording.request)
    assert len(wordings(blueprint)) == 10
    assert len(served) >= MUST_SERVE


@pytest.mark.parametrize("blueprint", BLUEPRINTS)
def test_a_wording_that_is_not_served_is_no_dead_end(shipped: Library, blueprint: str):
    for wording in wordings(blueprint):
        reading = understood(wording, shipped)
        if reading.chosen is None:
            question = not_covered(reading, tuple(shipped.values()))
            assert question.missing, wording.request
            assert "Understood for certain" in question.hint


@pytest.mark.parametrize("wording", wordings("unfitting"), ids=lambda wording: wording.request[:40])
def test_what_fits_none_or_only_in_part_is_not_served_and_what_is_missing_is_named(shipped: Library, wording: Wording):
    reading = understood(wording, shipped)
    assert reading.chosen is None
    question = not_covered(reading, tuple(shipped.values()))
    for part in wording.missing:
        assert any(part in missing for missing in question.missing), question.missing
    assert question.reason
    assert question.hint


def test_there_are_at_least_twenty_unfitting_wordings():
    assert len(wordings("unfitting")) >= 20


@pytest.mark.parametrize("wording", wordings("everyday"), ids=lambda wording: wording.request[:40])
def test_a_plain_request_is_served_as_it_was_meant(shipped: Library, wording: Wording):
    chosen = understood(wording, shipped).chosen
    assert chosen is not None
    assert chosen[1].filling.parameters == wording.parameters


@pytest.mark.parametrize("request_text", tomllib.loads((FOLDER / "hostile.toml").read_text())["requests"])
def test_what_asks_for_more_than_is_delivered_is_not_served(shipped: Library, request_text: str):
    assert read(request_text, (), tuple(shipped.values())).chosen is None
