"""The tables of the grammar agree with themselves."""

from __future__ import annotations

from itertools import chain
from typing import get_args

from worksite.architect.domain.grammar import (
    ADJECTIVES,
    BASES,
    COMMANDS,
    DUTIES,
    FATES,
    FINAL,
    FORMS,
    LINKERS,
    NEGATIONS,
    PHRASES,
    RESIDUE,
    SLOT_PHRASES,
    START,
    TECHNOLOGIES,
    TRANSITIONS,
    Kind,
    State,
)
from worksite.architect.domain.words import tokenise
from worksite.architect.library import Library


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
    every = chain(PHRASES.values(), SLOT_PHRASES.values())
    closed = {token.word for phrases in every for phrase in phrases for token in tokenise(phrase)}
    limiting = {"or", "any", "all", "every", "both", "two", "before", "after", "if", "than", "other", "least", "most"}
    assert not closed & (NEGATIONS | limiting)


def test_a_sentence_can_end_wherever_a_request_can():
    assert all("end" in TRANSITIONS[state] for state in FINAL)
    assert set(RESIDUE.values()) - {"bracketed"} <= FINAL


def test_what_users_can_do_is_not_followed_by_a_demand_that_could_be_theirs():
    subjects = {"users", "system", "need"}
    for state in ("done", "doing more", "enumerating", "enumerated", "recited"):
        assert not set(TRANSITIONS[state]) & (
            {"demand", "supports", "use", "uses", "let", "feature", "thing"} - subjects
        )


def test_no_technology_is_supported():
    for state in ("offer", "offered", "offering more"):
        assert "technology" not in TRANSITIONS[state]


def test_every_first_word_begins_a_phrase_of_a_blueprint_that_ships(shipped: Library):
    features = [feature for template in shipped.values() for feature in template.blueprint.vocabulary.features]
    phrases = [phrase.split() for feature in features for phrase in feature.phrases]
    assert {words[0] for words in phrases} >= LINKERS | DUTIES | COMMANDS | FATES | BASES | ADJECTIVES
    assert set(chain.from_iterable(phrases)) >= TECHNOLOGIES
    assert {words[-1] for words in phrases} & FORMS


def test_duties_are_commands():
    assert DUTIES <= COMMANDS
