"""A file of acceptance criteria for a review: a list in YAML or JSON, or one statement per line.

A criterion that nothing can judge would only make the verdict ENVIRONMENT, so it is refused here, with its line.
"""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import TypeAdapter, ValidationError
from worksite.cli.repository.git import Git, GitFailed
from worksite.common.messages import Criterion
from worksite.common.messages.tasks import Criteria

CHECKS = ("project-tests", "types", "lint", "secrets", "security", "forbidden-changes")
"""The validator's checks. A criterion without a test is judged by the check that its id names."""
DECLARATION = "worksite.toml"
_FIELDS = {"id", "statement", "test"}
_STRUCTURED = {".yaml", ".yml", ".json"}
_TEST = re.compile(r"(?P<path>[^:\s]+\.py)::(?P<names>\w+(?:::\w+)*)")
_CRITERIA: TypeAdapter[tuple[Criterion, ...]] = TypeAdapter(Criteria)


class CriteriaError(Exception):
    """`file:line: what is wrong`."""


@dataclass(frozen=True)
class Entry:
    """A criterion as the file has it."""

    line: int
    statement: str
    id: str | None = None
    test: str | None = None


@dataclass(frozen=True)
class CriteriaFile:
    """The criteria of a file that can be read; whether they can be judged, the repository says."""

    path: Path
    entries: tuple[Entry, ...]

    @classmethod
    def read(cls, path: Path) -> CriteriaFile:
        """Raises CriteriaError, OSError."""
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise CriteriaError(f"{path}: not UTF-8 text") from error
        entries = tuple(_structured(path, text) if path.suffix.lower() in _STRUCTURED else _lines(text))
        if not entries:
            raise CriteriaError(f"{path}: holds no criteria")
        return cls(path, entries)

    async def judgeable(self, git: Git, commit: str) -> tuple[Criterion, ...]:
        """As `POST /v1/tasks` takes them. Raises CriteriaError for one that nothing can judge."""
        criteria: list[Criterion] = []
        for number, entry in enumerate(self.entries, 1):
            if trouble := await _trouble(git, commit, entry):
                raise self._error(entry, trouble)
            name = entry.id or f"criterion-{number}"
            if any(name == other.id for other in criteria):
                raise self._error(entry, f"the id {name} is there already")
            criteria.append(self._criterion(entry, name))
        try:
            return _CRITERIA.validate_python(criteria)
        except ValidationError as error:
            raise CriteriaError(f"{self.path}: {_first(error)}") from error

    def _criterion(self, entry: Entry, name: str) -> Criterion:
        """A repository's own tests run in the candidate's process, which can show no more than `self_reported`."""
        try:
            return Criterion(id=name, statement=entry.statement, grade="self_reported", test=entry.test)
        except ValidationError as error:
            raise self._error(entry, _first(error)) from error

    def _error(self, entry: Entry, text: str) -> CriteriaError:
        return CriteriaError(f"{self.path}:{entry.line}: {text}")


async def _trouble(git: Git, commit: str, entry: Entry) -> str | None:
    """Why nothing could judge this criterion."""
    checks = (*CHECKS, *await _declared(git, commit))
    if entry.test is None:
        if entry.id in checks:
            return None
        return (
            "nothing can judge this: give it a `test` of the repository (tests/test_x.py::test_y), "
            f"or the `id` of a check ({', '.join(checks)})"
        )
    if entry.id in checks:
        return f"the id {entry.id} is that of a check: leave `test` out or choose another id"
    if not (named := _TEST.fullmatch(entry.test)):
        return f"{entry.test!r} names no test: write path::function, e.g. tests/test_x.py::test_y"
    try:
        source = await git("cat-file", "blob", f"{commit}:{named['path']}")
    except GitFailed:
        return f"there is no file {named['path']} in {commit[:12]}: name it from the top of the repository"
    if not _defines(source, named["names"].split("::")):
        return f"{named['path']} has no test {named['names']}"
    return None


async def _declared(git: Git, commit: str) -> list[str]:
    """The checks that the project declares beside the validator's own; the validator says what is wrong with a
    declaration."""
    try:
        document = tomllib.loads(await git("cat-file", "blob", f"{commit}:{DECLARATION}"))
    except (GitFailed, tomllib.TOMLDecodeError):
        return []
    acceptance, checks = document.get("acceptance"), document.get("checks")
    return [*(["acceptance"] if acceptance is not None else []), *(checks if isinstance(checks, dict) else {})]


def _defines(source: str, names: list[str]) -> bool:
    """A test may be inherited, so of a class with bases only the name is looked for."""
    try:
        body: list[ast.stmt] = ast.parse(source).body
    except (SyntaxError, ValueError):
        return False
    for name in names:
        found = next((node for node in _definitions(body) if node.name == name), None)
        if found is None:
            return False
        if isinstance(found, ast.ClassDef) and found.bases:
            return True
        body = found.body
    return True


def _definitions(body: list[ast.stmt]) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef]:
    """Those of a block, also under `if` and `try`."""
    for node in body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node
        elif isinstance(node, ast.If | ast.Try):
            yield from _definitions([*node.body, *node.orelse])


def _lines(text: str) -> Iterator[Entry]:
    """A statement per line; its last word may name a test. Empty lines and those that begin with `#` are left out."""
    for number, line in enumerate(text.splitlines(), 1):
        if (statement := line.strip()) and not statement.startswith("#"):
            yield _plain(number, statement)


def _plain(line: int, statement: str) -> Entry:
    last = statement.split()[-1]
    return Entry(line, statement, test=last if "::" in last else None)


def _structured(path: Path, text: str) -> Iterator[Entry]:
    if path.suffix.lower() == ".json":
        text = text.replace("\t", " ")  # JSON is YAML except for tabs between its parts
    try:
        node: Any = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise CriteriaError(f"{path}:{mark.line + 1 if mark else 1}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise CriteriaError(f"{path}: {error}") from error
    if not isinstance(node, yaml.SequenceNode):
        raise CriteriaError(f"{path}:1: not a list of criteria, each with a `statement`")
    for item in node.value:
        yield _entry(path, item)


def _entry(path: Path, node: Any) -> Entry:
    line = node.start_mark.line + 1
    if isinstance(node, yaml.ScalarNode) and (statement := node.value.strip()):
        return _plain(line, statement)
    if not isinstance(node, yaml.MappingNode):
        raise CriteriaError(f"{path}:{line}: not a criterion: write statement, and id or test")
    fields = dict(_field(path, key, value) for key, value in node.value)
    if "statement" not in fields:
        raise CriteriaError(f"{path}:{line}: a criterion without a `statement`")
    return Entry(line, fields["statement"], fields.get("id"), fields.get("test"))


def _field(path: Path, key: Any, value: Any) -> tuple[str, str]:
    line = key.start_mark.line + 1
    if not isinstance(key, yaml.ScalarNode) or key.value not in _FIELDS:
        raise CriteriaError(f"{path}:{line}: no field of a criterion: {key.value!r}; there are id, statement and test")
    if not isinstance(value, yaml.ScalarNode) or not value.value.strip():
        raise CriteriaError(f"{path}:{line}: {key.value} must be text")
    return str(key.value), value.value.strip()


def _first(error: ValidationError) -> str:
    found = error.errors(include_url=False, include_context=False, include_input=False)[0]
    place = ".".join(str(part) for part in found["loc"])
    return f"{place}: {found['msg']}" if place else found["msg"]
