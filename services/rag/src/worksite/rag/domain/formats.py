"""What a file is, by its name."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

from worksite.rag.domain.documents import Format


@dataclass(frozen=True, slots=True)
class Source:
    """How a file is cut, the language that a search can filter by, and whether it has to be converted first."""

    format: Format
    language: str | None = None
    is_converted: bool = False


_TEXT = Source("text")
_CODE = {
    "bash": (".sh", ".bash"),
    "c": (".c", ".h"),
    "cpp": (".cc", ".cpp", ".cxx", ".hh", ".hpp", ".hxx"),
    "csharp": (".cs",),
    "go": (".go",),
    "java": (".java",),
    "javascript": (".js", ".jsx", ".mjs", ".cjs"),
    "kotlin": (".kt", ".kts"),
    "php": (".php",),
    "protobuf": (".proto",),
    "python": (".py", ".pyi"),
    "ruby": (".rb",),
    "rust": (".rs",),
    "scala": (".scala",),
    "sql": (".sql",),
    "swift": (".swift",),
    "toml": (".toml",),
    "tsx": (".tsx",),
    "typescript": (".ts", ".mts", ".cts"),
    "yaml": (".yaml", ".yml"),
}
_BINARY = {"pdf", "docx"}
_BY_SUFFIX = {
    ".md": Source("markdown", "markdown"),
    ".markdown": Source("markdown", "markdown"),
    ".rst": Source("restructuredtext", "restructuredtext"),
    ".txt": _TEXT,
    ".text": _TEXT,
    ".html": Source("markdown", "html", is_converted=True),
    ".htm": Source("markdown", "html", is_converted=True),
    ".pdf": Source("markdown", "pdf", is_converted=True),
    ".docx": Source("markdown", "docx", is_converted=True),
} | {suffix: Source("code", language) for language, suffixes in _CODE.items() for suffix in suffixes}


def source_of(path: str) -> Source | None:
    """None for a name that says nothing we know."""
    return _BY_SUFFIX.get(PurePosixPath(path).suffix.lower())


def text_source_of(path: str) -> Source:
    """Of a text that somebody sent: HTML is one, and converted; a PDF or DOCX sent as a text has already been."""
    found = source_of(path)
    return _TEXT if found is None or found.language in _BINARY else found
