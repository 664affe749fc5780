"""Code is cut at its definitions, each under the names of what encloses it."""

from __future__ import annotations

import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from worksite.rag.domain import code
from worksite.rag.domain.chunking import chunk
from worksite.rag.domain.code import code_sections
from worksite.rag.domain.documents import Document

BODIES = {
    "python": "call_number_{n}(some_argument, another_argument)",
    "sql": "column_number_{n} varchar(200),",
    "bash": "call_number_{n} some_argument another_argument",
    "yaml": "step_number_{n}: a value that is set",
    "toml": "key_number_{n} = 'a value that is set'",
    "statements": "call_number_{n}(some_argument, another_argument);",
}


def words(text: str) -> int:
    return len(text.split())


def sample(template: str, body: str = "statements") -> str:
    """The template, with a number of lines in place of every line that says BODY."""
    line = re.compile(r"^( *)BODY\n", re.MULTILINE)
    return line.sub(lambda found: "".join(f"{found[1]}{BODIES[body].format(n=n)}\n" for n in range(12)), template)


PYTHON = """\
class Shop:
    tax = 19

    @cached
    def total(self):
        BODY

    def one(self):
        BODY


# How to open it.
async def open_shop():
    BODY
"""
JAVASCRIPT = """\
export class Shop {
  total() {
    BODY
  }
  get one() {
    BODY
  }
}
export const load = async () => {
  BODY
};
function* open() {
  BODY
}
"""
TYPESCRIPT = """\
abstract class Shop<T> {
  total(): T {
    BODY
  }
  private one(): void {
    BODY
  }
}
namespace shops {
  export function open<T>(): Shop<T> {
    BODY
    BODY
  }
}
"""
TSX = """\
export function Page(props: Props) {
  BODY
  return <div>{props.title}</div>;
}
const Panel = () => {
  BODY
  return <p/>;
};
"""
GO = """\
package shop

// Total adds up.
func (s *Shop[T]) Total() int {
    BODY
}

func Open() {
    BODY
}
"""
RUST = """\
mod shop {
  impl Total for Shop {
    /// Adds up.
    #[inline]
    fn total(&self) -> u32 {
      BODY
    }
    fn one() {
      BODY
    }
  }
}
"""
JAVA = """\
package shop;

public class Shop {
  public Shop() {
    BODY
  }

  /** Adds up. */
  @Override
  public int total() {
    BODY
  }
}
"""
C = """\
#include <x.h>

static char *name_of(struct shop *s)
{
  BODY
}

int main(void) {
  BODY
}
"""
CPP = """\
namespace shop {
template <typename T>
class Basket {
 public:
  void add(T one) {
    BODY
  }
  T total() {
    BODY
  }
};

int Shop::open() {
  BODY
}
}
"""
SQL = """\
CREATE TABLE shop.orders (
  BODY
  id int
);

CREATE TABLE baskets (
  BODY
  id int
);
"""
BASH = """\
set -eu

# Opens it.
open_shop() {
  BODY
}

function close_shop {
  BODY
}
"""
YAML = """\
name: shop
jobs:
  build:
    BODY
  test:
    BODY
"""
TOML = """\
[tool.shop]
BODY

[[tool.baskets]]
BODY
"""
SAMPLES = {
    "python": (sample(PYTHON, "python"), [("Shop", "total"), ("Shop", "one"), ("open_shop",)]),
    "javascript": (sample(JAVASCRIPT), [("Shop", "total"), ("Shop", "one"), ("load",), ("open",)]),
    "typescript": (sample(TYPESCRIPT), [("Shop", "total"), ("Shop", "one"), ("shops", "open")]),
    "tsx": (sample(TSX), [("Page",), ("Panel",)]),
    "go": (sample(GO), [("Shop.Total",), ("Open",)]),
    "rust": (sample(RUST), [("shop", "Shop", "total"), ("shop", "Shop", "one")]),
    "java": (sample(JAVA), [("Shop", "Shop"), ("Shop", "total")]),
    "c": (sample(C), [("name_of",), ("main",)]),
    "cpp": (
        sample(CPP),
        [("shop", "Basket", "add"), ("shop", "Basket", "total"), ("shop", "Shop::open")],
    ),
    "sql": (sample(SQL, "sql"), [("shop.orders",), ("baskets",)]),
    "bash": (sample(BASH, "bash"), [("open_shop",), ("close_shop",)]),
    "yaml": (sample(YAML, "yaml"), [("jobs", "build"), ("jobs", "test")]),
    "toml": (sample(TOML, "toml"), [("tool.shop",), ("tool.baskets",)]),
}


@pytest.mark.parametrize("language", SAMPLES)
def test_every_definition_has_a_section_under_the_names_around_it(language: str) -> None:
    text, names = SAMPLES[language]
    sections = code_sections(text, language)
    found = [section.heading for section in sections]
    assert [name for name in found if name in names] == names
    for name in names:
        [(start, end)] = [(s.blocks[0][0], s.blocks[-1][1]) for s in sections if s.heading == name]
        assert name[-1].rpartition(".")[2] in text[start:end]


def test_comments_decorators_and_attributes_go_with_the_definition_below_them() -> None:
    for language, name, first in (
        ("python", ("Shop", "total"), "    @cached"),
        ("python", ("open_shop",), "# How to open it."),
        ("go", ("Shop.Total",), "// Total adds up."),
        ("rust", ("shop", "Shop", "total"), "    /// Adds up."),
        ("java", ("Shop", "total"), "  /** Adds up. */"),
        ("bash", ("open_shop",), "# Opens it."),
    ):
        text = SAMPLES[language][0]
        [section] = [one for one in code_sections(text, language) if one.heading == name]
        assert text[slice(*section.blocks[0])].startswith(first + "\n")


def test_comment_that_a_blank_line_parts_from_a_definition_stays_outside_of_it() -> None:
    text = sample("# A licence.\n\ndef open_shop():\n    BODY\n    BODY\n", "python")
    assert [section.heading for section in code_sections(text, "python")] == [(), ("open_shop",)]


def test_line_ends_that_the_parser_does_not_count_move_no_definition() -> None:
    text = sample("a = 'one\rtwo\rthree'\r\n\r\ndef open_shop():\n    BODY\n    BODY\n", "python")
    [section] = [one for one in code_sections(text, "python") if one.heading == ("open_shop",)]
    assert text[slice(*section.blocks[0])].startswith("def open_shop")


def test_small_definitions_stay_together_under_the_name_of_what_encloses_them() -> None:
    members = "".join(f"    def member_{n}(self):\n        return {n}\n\n" for n in range(30))
    pieces = chunk(Document("a.py", f"class Shop:\n{members}", "code", language="python"), words)
    assert {piece.heading for piece in pieces} == {("Shop",)}
    assert len(pieces) == 1


def test_long_function_is_cut_between_its_statements() -> None:
    loops = "".join(f"    for x in range({n}):\n        first(x)\n        second(x)\n" for n in range(40))
    document = Document("a.py", f"def run():\n{loops}", "code", language="python")
    pieces = chunk(document, words, limit=40)
    assert len(pieces) > 5
    assert all(piece.text.startswith(("def", "    for")) for piece in pieces)
    assert all(piece.text.endswith("second(x)") for piece in pieces)
    assert {piece.heading for piece in pieces} == {("run",)}


@st.composite
def broken_code(draw: st.DrawFn) -> tuple[str, str]:
    """A language, and parts of a file in it between things that do not belong there."""
    language = draw(st.sampled_from(list(SAMPLES)))
    text = SAMPLES[language][0]
    cuts = st.integers(0, len(text)).map(lambda at: text[at : at + 400])
    odd = st.sampled_from(["\r\n", "\r", "\n", "{", "}", '"""', "/*", "\x0c", "\u2028", "漢字 = '🧪'\n"])
    return language, "".join(draw(st.lists(st.one_of(cuts, odd, st.text(max_size=30)), max_size=8)))


@given(broken_code())
@settings(deadline=None)
@example(("python", "# a\r\n\r\ndef f():\r\n    return '🧪'\r" * 40))
@example(("yaml", "\ufeffa: 1\n"))
def test_chunks_of_whatever_is_called_code_are_exact_slices_that_leave_nothing_out(sample: tuple[str, str]) -> None:
    language, text = sample
    at = 0
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    for piece in chunk(Document("a", text, "code", language=language), words, limit=30):
        assert text[piece.start : piece.end] == piece.text
        assert text.encode()[piece.start_byte : piece.end_byte].decode() == piece.text
        shown = "\n".join(lines[piece.start_line - 1 : piece.end_line])
        assert piece.text.replace("\r\n", "\n").replace("\r", "\n") in shown
        assert not text[at : piece.start].strip()
        at = piece.end
    assert not text[at:].strip()


@pytest.mark.parametrize("language", ["cobol", "", "broken"])
def test_language_without_a_usable_grammar_is_cut_at_blank_lines(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(code._GRAMMARS, "broken", ("no_such_module", "language"))
    pieces = chunk(Document("a", "one two\n\nthree four\n", "code", language=language), words, 3)
    assert [piece.text for piece in pieces] == ["one two", "three four"]


def test_parser_that_takes_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    text = SAMPLES["python"][0] * 50
    assert len(code_sections(text, "python")) > 50
    monkeypatch.setattr(code, "_MOST_STEPS", 2)
    assert code_sections(text, "python") == []


@pytest.mark.parametrize("text", ["(" * 50_000, "[" * 50_000 + "]" * 50_000, "if x:\n" * 3_000])
def test_nesting_of_any_depth_is_no_trouble(text: str) -> None:
    assert code_sections(text, "python")
