"""What counts as a word, and which spellings are the same."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.architect.domain.words import same_word, tokenise


def words(text: str) -> list[str | None]:
    return [token.word for token in tokenise(text)]


def test_words_and_marks_are_told_apart():
    assert words("Create it, now: a & b + c.") == ["create", "it", ",", "now", ":", "a", "&", "b", "+", "c", "."]


def test_the_parts_of_a_hyphenated_word_are_words():
    assert words("log-in e-mail") == ["log", "in", "e", "mail"]


def test_a_typographic_apostrophe_is_an_apostrophe():
    assert words("I’d like let's") == ["i'd", "like", "let's"]


@pytest.mark.parametrize(
    "text",
    ['"login"', "`login`", "https://a.b/c", "a/b/c", "/a", "b2b/c", "login.py", "naïve", "登录", "-login", "1.5"],
)
def test_what_is_not_a_plain_word_is_no_word_of_the_grammar(text: str):
    assert words(text) == [None]


def test_brackets_and_a_slash_between_two_words_are_marks():
    assert words("a (b, c) d") == ["a", "(", "b", ",", "c", ")", "d"]
    assert words("Login/logout, e-mail") == ["login", "/", "logout", ",", "e", "mail"]


def test_a_field_with_its_type_is_words_and_marks():
    assert words("unit_price:decimal?,done:boolean") == [
        "unit",
        "price",
        ":",
        "decimal",
        "?",
        ",",
        "done",
        ":",
        "boolean",
    ]
    assert words("localhost:8000") == [None]


@pytest.mark.parametrize("text", ["login...", "login…", "...", "?!"])
def test_an_ellipsis_is_not_the_end_of_a_sentence(text: str):
    assert "." not in words(text)


def test_a_dash_is_a_bullet_only_at_the_start_of_a_line():
    assert words("a:\n- b\n* c\n• d") == ["a", ":", "-", "b", "-", "c", "-", "d"]
    assert words("a - b") == ["a", None, "b"]


def test_capitals_are_shouted_only_in_a_text_that_has_small_letters():
    assert [token.shouted for token in tokenise("make US a")] == [False, True, False]
    assert not any(token.shouted for token in tokenise("MAKE US A"))


@pytest.mark.parametrize(("one", "other"), [("token", "tokens"), ("hash", "hashes"), ("refresh", "refreshes")])
def test_the_singular_in_a_vocabulary_stands_for_the_plural_too_but_not_the_other_way_round(one: str, other: str):
    assert same_word(one, other)
    assert same_word(one, one)
    assert same_word(other, other)
    assert not same_word(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("http", "https"), ("pass", "pas"), ("redi", "redis"), ("io", "ios"), ("log", "logging"), ("hash", "hashed"),
     ("user", "user's"), ("register", "registry"), ("argon2", "argon2s")],
)  # fmt: skip
def test_words_that_mean_different_things_stay_different(one: str, other: str):
    assert not same_word(one, other)


@given(st.text())
def test_no_text_is_too_strange_and_nothing_of_it_is_lost(text: str):
    end = 0
    for token in tokenise(text):
        assert token.start >= end
        assert not re.sub(r"[-_\s]", "", text[end : token.start])
        end = token.end
    assert not re.sub(r"[-_\s]", "", text[end:])
