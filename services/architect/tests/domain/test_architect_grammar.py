"""The tables of the grammar agree with themselves."""

from __future__ import annotations

from typing import get_args

from worksite.architect.domain.grammar import (
    COMMANDS,
    DUTIES,
    FINAL,
    NEGATIONS,
    PHRASES,
    START,
    TRANSITIONS,
    Kind,
    State,
)
from worksite.architect.domain.words import tokenise


def test_every_state_has_transitions_and_can_be_reached():
    reached, frontier = {START}, [START]
    while frontier:
        for target in TRANSITIONS[frontier.pop()].values():
            if target not in reached:
                reached.add(target)
                frontier.append(target)
    assert reached == set(TRANSITIONS) == set(get_args(State))
    assert reached >= FINAL


def test_every_kind_of_phrase_is_used():
    used = {kind for moves in TRANSITIONS.values() for kind in moves}
    assert used | {"filler"} == set(get_args(Kind))


def test_the_closed_words_hold_no_word_that_takes_away_limits_or_counts():
    closed = {token.word for phrases in PHRASES.values() for phrase in phrases for token in tokenise(phrase)}
    limiting = {"or", "any", "all", "every", "both", "two", "before", "after", "if", "than", "other", "least", "most"}
    assert not closed & (NEGATIONS | limiting)


def test_duties_are_commands():
    assert DUTIES <= COMMANDS
