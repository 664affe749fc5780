"""The structure of a document, by its format."""

from __future__ import annotations

import re
from collections.abc import Callable

from worksite.rag.domain.code import code_sections
from worksite.rag.domain.documents import Document
from worksite.rag.domain.markdown import markdown_blocks
from worksite.rag.domain.restructured import restructured_blocks
from worksite.rag.domain.sections import Section, by_heading, line_starts, paragraphs, spans

CodeSections = Callable[[str, str], list[Section]]
"""As `code_sections`, of a text in a language."""

_PROSE_STATEMENT = re.compile(
    r"^(?:summary|product|phrases)[ \t]*=.*?(?=^[ \t]*(?:#|\[\[?[A-Za-z]|[\w.-]+[ \t]*=)|\Z)",
    re.MULTILINE | re.DOTALL,
)
"""A TOML statement that says what a blueprint is for, up to the next statement, table or comment.

Found by its lines, because the standard parser gives values without their place in the file. Titles are left out: the
blueprint's stands above every chunk as its heading, and those of decisions say nothing alone.
"""


def sections_of(document: Document, code: CodeSections = code_sections) -> list[Section]:
    """The sections in order. They cover all of a text, and of a manifest the statements that hold prose.

    Code in a language without a grammar, or that its grammar cannot cope with, is cut like text: at blank lines.
    """
    text = document.text
    starts = line_starts(text)
    match document.format:
        case "markdown":
            return by_heading(markdown_blocks(text, starts), starts, len(text))
        case "restructuredtext":
            return by_heading(restructured_blocks(text, starts), starts, len(text))
        case "manifest":
            return [Section((), (match.span(),)) for match in _PROSE_STATEMENT.finditer(text)]
        case "code":
            return code(text, document.language or "") or [_text(text, starts)]
        case "text":
            return [_text(text, starts)]


def _text(text: str, starts: list[int]) -> Section:
    return Section((), spans(paragraphs(text, starts), starts, len(text)))
