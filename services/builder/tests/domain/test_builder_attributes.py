"""Which lines of a .gitattributes ask for a filter."""

from __future__ import annotations

import pytest
from worksite.builder.domain.attributes import line_with_filter


@pytest.mark.parametrize(
    "line",
    [
        "*.psd filter=lfs diff=lfs merge=lfs -text",
        "  a.bin\ttext\tfilter=trap",
        '"a b.psd" filter=lfs',
        "[attr]large filter=lfs",
        "\ufeff* filter=x",
        "* text filter=x\r",
    ],
)
def test_a_line_that_gives_paths_a_driver_counts(line: str) -> None:
    assert line_with_filter(f"{line}\n") == 1


@pytest.mark.parametrize(
    "line",
    [
        "",
        "# *.psd filter=lfs",
        "*.psd -filter !filter filter",
        "filter=lfs text",
        '"a filter=lfs b" text',
        "* prefilter=x",
        "*.md text eol=lf",
    ],
)
def test_other_lines_do_not(line: str) -> None:
    assert line_with_filter(f"{line}\n") is None


def test_the_first_line_is_named() -> None:
    assert line_with_filter("# one\n\n*.a filter=x\n*.b filter=y\n") == 3
