"""Singular and plural."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from worksite.architect.domain.nouns import is_plural, numbers, plural
from worksite.architect.domain.things import DOINGS, THINGS

PAIRS = (
    ("book", "books"), ("recipe", "recipes"), ("city", "cities"), ("toy", "toys"), ("box", "boxes"), ("dish", "dishes"),
    ("match", "matches"), ("class", "classes"), ("house", "houses"), ("course", "courses"), ("movie", "movies"),
    ("person", "people"), ("child", "children"), ("knife", "knives"), ("bus", "buses"), ("status", "statuses"),
    ("quiz", "quizzes"), ("tomato", "tomatoes"), ("photo", "photos"), ("shoe", "shoes"), ("analysis", "analyses"),
    ("menu", "menus"), ("cookie", "cookies"), ("olive", "olives"), ("pizza", "pizzas"), ("address", "addresses"),
)  # fmt: skip


@pytest.mark.parametrize(("one", "many"), PAIRS)
def test_either_number_gives_both(one: str, many: str):
    assert numbers(one) == numbers(many) == (one, many)
    assert is_plural(many)
    assert not is_plural(one)


@pytest.mark.parametrize("word", ["sheep", "series", "news", "furniture", "a", "b2b", "persons", "childs"])
def test_a_noun_whose_numbers_cannot_be_told_apart_has_none(word: str):
    assert numbers(word) is None


@given(st.from_regex(r"[a-z]{3,10}", fullmatch=True))
def test_the_plural_of_a_singular_leads_back_to_it(word: str):
    both = numbers(word)
    assume(both is not None)
    assert both is not None
    assert plural(both[0]) == both[1]
    assert numbers(both[1]) == numbers(both[0]) == both


def test_every_known_thing_has_a_plural_and_promises_nothing():
    assert [thing for thing in sorted(THINGS) if numbers(thing) is None] == []
    assert set() == THINGS & DOINGS
