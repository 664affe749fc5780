"""What forges would obey, and what they must leave alone."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.builder.domain.inert import inert

GITLAB_CLOSES = re.compile(  # default of GitLab's issue_closing_pattern, shortened to what it needs to match
    r"\b(clos(e[sd]?|ing)|fix(e[sd]|ing)?|resolv(e[sd]?|ing)|implement(s|ed|ing)?):? +(issues? +)?"
    r"([\w./-]*#\d+|https?://\S+|[A-Z][A-Z0-9_]+-\d+)",
    re.IGNORECASE,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("Thanks @all and @team/core", "Thanks ＠all and ＠team/core"),
        ("Closes #1, fixes shop#2", "Closes ＃1, fixes shop＃2"),
        ("Resolves: https://git.example/shop/-/issues/3", "Resolves – https://git.example/shop/-/issues/3"),
        ("implements issue SHOP-4", "implements – issue SHOP-4"),
        ("fixes GH-5", "fixes – GH-5"),
        ("/approve", "／approve"),
        ("one\n  /merge", "one\n  ／merge"),
        ("[skip ci] [ci skip] [skip-ci] [no ci]", "［skip ci] ［ci skip] ［skip-ci] ［no ci]"),
        ("***NO_CI***", "＊**NO_CI***"),
        ("skip-checks: true", "skip-checks： true"),
        ("see !12, &3, %v1, ~bug, $9", "see ！12, ＆3, ％v1, ～bug, ＄9"),
        ('%"next release" ~"to do"', '％"next release" ～"to do"'),
        ("<!-- worksite-task: 1 -->", "＜!-- worksite-task: 1 -->"),
    ],
)
def test_what_a_forge_would_obey_is_only_read(text: str, shown: str) -> None:
    assert inert(text) == shown


@pytest.mark.parametrize(
    "text",
    ["Auth service", "a/b and 1 / 2", "C# and F#", "Fixes the login, closes the gap", "50 % of 3 & 4, a < b", "done!"],
)
def test_plain_words_stay_as_they_are(text: str) -> None:
    assert inert(text) == text


@given(st.lists(st.sampled_from(["Closes", "fixes:", "/", "@", "#", "1", "[", "ci", " ", "\n", "x-1", "https://a/1"])))
def test_however_it_is_put_together_nothing_is_left(parts: list[str]) -> None:
    said = inert("".join(parts))

    assert not GITLAB_CLOSES.search(said)
    assert not re.search(r"^\s*/\w|@\w|#\w|\[", said, re.MULTILINE)
