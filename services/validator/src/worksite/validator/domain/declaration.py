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
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated

from pydantic import Field, TypeAdapter, ValidationError
from worksite.common.messages import CheckCommand, Harness, Model, Spec, TestFile
from worksite.validator.domain.judgement import ACCEPTANCE_FOLDER

FILE = "worksite.toml"
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

    def added_to(self, spec: Spec) -> Spec:
        """The Spec with what the project declares; where both speak of the same thing, the Spec counts."""
        ours = {test.path for test in spec.tests}
        named = {command.name for command in spec.commands}
        tests = (test for test in self.tests if test.path not in ours and test.path not in spec.removed_tests)
        commands = (command for command in self.commands if command.name not in named)
        return spec.model_copy(
            update={
                "tests": (*spec.tests, *tests),
                "commands": (*spec.commands, *commands),
                "harness": spec.harness or self.harness,
            }
        )


def read_declaration(files: Mapping[str, str]) -> Declaration:
    """From a project's files: `worksite.toml` and the modules below `acceptance/`. Raises InvalidDeclaration."""
    if FILE not in files:
        return Declaration()
    try:
        given = _File.model_validate(tomllib.loads(files[FILE]))
        named = [{"name": name, **check.model_dump()} for name, check in given.checks.items()]
        commands = _COMMANDS.validate_python(named)
    except (tomllib.TOMLDecodeError, ValidationError, RecursionError) as error:
        raise InvalidDeclaration(f"{FILE}: {_reason(error)}") from None
    if taken := [command.name for command in commands if command.name in CHECKS]:
        raise InvalidDeclaration(f"{FILE}: checks.{taken[0]} has the name of a check of ours; choose another")
    if given.acceptance is None:
        return Declaration(commands=commands)
    tests = (TestFile(path=name, content=text) for name, text in files.items() if is_acceptance(name))
    return Declaration(True, tuple(tests), _harness(given.acceptance), commands)


def is_acceptance(name: str) -> bool:
    """Whether the file is a module below the folder of acceptance tests."""
    return name.startswith(ACCEPTANCE_FOLDER) and name.endswith(".py")


def _harness(acceptance: _Acceptance) -> Harness | None:
    """None where there is no application: functions and command lines need none."""
    if acceptance.target is None:
        return None
    return Harness.model_validate(acceptance.model_dump())


def _reason(error: Exception) -> str:
    if not isinstance(error, ValidationError):
        return str(error) or "it is nested too deeply"
    first = error.errors()[0]
    return f"{'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
