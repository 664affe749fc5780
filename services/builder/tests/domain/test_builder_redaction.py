"""What is shown of git's words."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from worksite.builder.domain.redaction import MAX_CHARACTERS, presentable


def test_lines_become_one_without_credentials_and_control_characters() -> None:
    said = "fatal: https://ann:s3cret@example.com/x\r\n\n  \x1b[31mremote: no\x07\n"

    assert presentable(said) == "fatal: https://example.com/x; [31mremote: no"


def test_credentials_with_several_at_signs_go_too() -> None:
    assert presentable("https://ann:p@ss@example.com/x") == "https://example.com/x"


@given(st.text())
def test_whatever_is_said_fits_one_printable_line(said: str) -> None:
    shown = presentable(said)

    assert len(shown) <= MAX_CHARACTERS
    assert not any(ord(character) < 32 or ord(character) == 127 for character in shown)
    assert len(shown.splitlines()) <= 1


def test_what_is_too_long_keeps_its_end_where_the_reason_stands() -> None:
    shown = presentable("warning: x\n" * 1000 + "fatal: disk full\n")

    assert len(shown) == MAX_CHARACTERS
    assert shown.startswith("…")
    assert shown.endswith("; fatal: disk full")
