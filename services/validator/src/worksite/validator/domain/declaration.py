"""What a project declares for its own judgement: `worksite.toml` at its top, in words of the Spec.

[acceptance]                      # tests in acceptance/ talk to the program across the pipe
target = "shop.main:app"          # only for tests of an ASGI application; with factory, import_roots, env

[checks.unit]                     # a command line of the project's own; exit code 0 is a pass
command = ["sh", "tests/run.sh"]
seconds = 60
tests = ["tests"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from worksite.common.messages import CheckCommand, Harness, Model, Spec, TestFile
from worksite.validator.domain.judgement import ACCEPTANCE_FOLDER

FILE = "worksite.toml"
MAX_BYTES = 64 << 10
MAX_DOTS = 200
"""On one line: the time that tomllib needs for a key grows with the square of its parts."""
CHECKS = (
    "acceptance", "spec-tests", "project-tests", "types", "lint", "security", "secrets", "tampering",
    "forbidden-changes", "environment", "review",
)  # fmt: skip
"""Names that no declared command may have."""


class InvalidDeclaration(Exception):
    """The file says something that it cannot; the text names where and what."""


class _Acceptance(Model):
    """`Harness`, whose target only an application needs."""

    target: str | None = None
    factory: bool = False
    import_roots: tuple[str, ...] = ("src", ".")
    env: dict[str, str] = Field(default_factory=dict)


class _Check(Model):
    command: Annotated[tuple[str, ...], Field(min_length=1, max_length=64)]
    seconds: int = Field(default=120, ge=1, le=600)
    tests: tuple[str, ...] = ("tests",)


class _File(Model):
    acceptance: _Acceptance | None = None
    checks: Annotated[dict[str, _Check], Field(max_length=16)] = Field(default_factory=dict[str, _Check])


_COMMANDS: TypeAdapter[tuple[CheckCommand, ...]] = TypeAdapter(tuple[CheckCommand, ...])


@dataclass(frozen=True)
class Declaration:
    """`tests`, with their `harness`, talk to the program across the pipe. `accepts`: the folder of such tests is no
    part of the project's own tests."""

    accepts: bool = False
    tests: tuple[TestFile, ...] = ()
    harness: Harness | None = None
    commands: tuple[CheckCommand, ...] = ()

    def beside(self, spec: Spec) -> Declaration:
        """What is left where the candidate itself declares it: nothing beside acceptance tests of the Spec."""
        taken = any(test.path.startswith(ACCEPTANCE_FOLDER) for test in spec.tests)
        return replace(self, tests=(), harness=None) if taken else self

    def apart_from(self, spec: Spec) -> Declaration:
        """What the project declares and the Spec does not speak of; where both speak of the same thing, it counts."""
        replaced = {test.path for test in spec.tests if is_module(test.path)} | set(spec.removed_tests)
        named = {command.name for command in spec.commands}
        return replace(
            self,
            tests=tuple(test for test in self.tests if test.path not in replaced),
            commands=tuple(command for command in self.commands if command.name not in named),
        )


def read_declaration(files: Mapping[str, str]) -> Declaration:
    """From a project's files: `worksite.toml` and the modules below `acceptance/`. Raises InvalidDeclaration."""
    if FILE not in files:
        return Declaration()
    if len(files[FILE].encode(errors="replace")) > MAX_BYTES:
        raise InvalidDeclaration(f"{FILE}: it has more than {MAX_BYTES >> 10} KiB")
    if any(line.count(".") > MAX_DOTS for line in files[FILE].split("\n")):
        raise InvalidDeclaration(f"{FILE}: a line has more than {MAX_DOTS} dots")
    try:
        given = _File.model_validate(tomllib.loads(files[FILE]))
        named = [{"name": name, **check.model_dump()} for name, check in given.checks.items()]
        commands = _COMMANDS.validate_python(named)
    except (ValueError, RecursionError) as error:  # tomllib's own, pydantic's, and that of numbers too long to read
        raise InvalidDeclaration(f"{FILE}: {_reason(error)}") from None
    if taken := [command.name for command in commands if command.name in CHECKS]:
        raise InvalidDeclaration(f"{FILE}: checks.{taken[0]} has the name of a check of ours; choose another")
    if given.acceptance is None:
        return Declaration(commands=commands)
    tests = tuple(TestFile(path=name, content=text) for name, text in files.items() if is_acceptance(name))
    if unread := unread_module(tests):
        raise InvalidDeclaration(not_a_module(unread))
    return Declaration(True, tests, _harness(given.acceptance), commands)


def is_acceptance(name: str) -> bool:
    """Whether the file is a module below the folder of acceptance tests."""
    return name.startswith(ACCEPTANCE_FOLDER) and name.endswith(".py")


def is_module(path: str) -> bool:
    """Whether pytest collects tests from it here; every other file of the folder is a helper of all of them."""
    return PurePosixPath(path).name.startswith("test_")


def unread_module(tests: Iterable[TestFile]) -> str | None:
    """The path of an acceptance file that pytest would collect and nobody here would run as a module of its own."""
    names = (test.path for test in tests if test.path.startswith(ACCEPTANCE_FOLDER))
    return next((name for name in names if name.endswith("_test.py") and not is_module(name)), None)


def not_a_module(path: str) -> str:
    """What to say of such a file."""
    return f"{path[:200]}: the name of an acceptance module begins with `test_`"


def _harness(acceptance: _Acceptance) -> Harness | None:
    """None where there is no application: functions and command lines need none."""
    if acceptance.target is None:
        return None
    return Harness.model_validate(acceptance.model_dump())


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
