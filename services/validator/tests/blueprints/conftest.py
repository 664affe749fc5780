"""Blueprints as projects with their Specs: to be proved as they are, and refuted when they are broken on purpose."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
import pytest
from worksite.common import blueprints
from worksite.common.messages import Criterion, CriterionResult, Spec, TestFile
from worksite.validator.acceptance.broker import examine
from worksite.validator.bench import Bench
from worksite.validator.domain.judgement import judge_criterion
from worksite.validator.selfreport.run import run_spec_tests
from worksite.validator.tree import Tree

REPOSITORY = Path(__file__).parents[4]


@pytest.fixture(scope="session", autouse=True)
def wheelhouse() -> None:
    if not (REPOSITORY / ".worksite" / "wheelhouse").is_dir():
        pytest.fail("the wheelhouse of the blueprints' locks is missing; `make` fills it at set-up")


@dataclass(frozen=True)
class Fault:
    """A way to break a template, and the test that must notice."""

    file: str
    old: str
    new: str
    test: str


class Product:
    """A blueprint with parameters: its files, and what the architect writes for all of it."""

    def __init__(self, name: str, chosen: Mapping[str, str]) -> None:
        self._directory, self._chosen = REPOSITORY / "blueprints" / name, dict(chosen)
        self._blueprint = blueprints.load(self._directory)
        defaults = {name: parameter.default for name, parameter in self._blueprint.parameters.items()}
        self._parameters = defaults | self._chosen

    @cached_property
    def files(self) -> dict[str, str]:
        with TemporaryDirectory() as directory:
            copier.run_copy(str(self._directory), directory, data=self._chosen, defaults=True, quiet=True)
            found = (path for path in Path(directory).rglob("*") if path.is_file())
            return {path.relative_to(directory).as_posix(): path.read_text() for path in found}

    @cached_property
    def spec(self) -> Spec:
        interface = self._blueprint.interface
        env = {name: self._filled(value) for name, value in interface.env.items()}
        return Spec(
            title=self._blueprint.title,
            request=f"Create {self._blueprint.title}",
            engine="test",
            criteria=tuple(self._criteria()),
            tests=tuple(self._tests()),
            harness=interface.model_copy(update={"target": self._filled(interface.target), "env": env}),
        )

    def broken(self, fault: Fault) -> dict[str, str]:
        path = f"src/{self._parameters['package']}/{fault.file}"
        assert self.files[path].count(fault.old) == 1, f"the template has changed: mend the fault in {fault.file}"
        return {**self.files, path: self.files[path].replace(fault.old, fault.new)}

    def _filled(self, text: str) -> str:
        return text.replace("{package}", self._parameters["package"])

    def _criteria(self) -> list[Criterion]:
        """Those about a type that no field has are not for this product."""
        fields = self._parameters.get("fields", "").split(",")
        kinds = {field.partition(":")[2].rstrip("?") for field in fields}
        return [each for each in self._blueprint.criteria if each.field_type in (None, *kinds)]

    def _tests(self) -> list[TestFile]:
        found: list[TestFile] = []
        for folder in ("acceptance", "unit"):
            for path in sorted((self._directory / folder).glob("*.py")):
                content = path.read_text()
                for name, value in self._parameters.items():
                    content = content.replace(f"{{{{ {name} }}}}", value)
                found.append(TestFile(path=path.relative_to(self._directory).as_posix(), content=content))
        return found


@pytest.fixture(scope="session")
def product() -> Callable[..., Product]:
    """The blueprint of this name with these parameters, rendered once."""
    made: dict[tuple[Any, ...], Product] = {}

    def make(name: str, **chosen: str) -> Product:
        key = (name, *sorted(chosen.items()))
        if key not in made:
            made[key] = Product(name, chosen)
        return made[key]

    return make


@pytest.fixture
def prove(project: Any, judge: Callable[..., Any]) -> Callable[[Product], Any]:
    """Judge a product as it is: every criterion must be shown, and no check be in doubt."""

    def run(product: Product) -> Any:
        judged = judge(product.spec, project.commit(product.files))
        refuted = [(each.id, each.evidence) for each in judged.report.criteria if each.verdict != "pass"]
        failed = [(each.name, each.findings, each.evidence) for each in judged.report.checks if each.verdict != "pass"]
        assert (refuted, failed) == ([], [])
        assert judged.report.verdict == "PASS"
        names = {each.name for each in judged.report.checks}
        assert names >= {"acceptance", "project-tests", "types", "lint", "security"}
        return judged

    return run


@pytest.fixture
def refute(bench: Bench, write_tree: Callable[..., Tree]) -> Callable[..., None]:
    """Break a product: the fault's criterion must be refuted, by an assertion and not by a program that is dead."""

    def run(product: Product, fault: tuple[str, str, str, str]) -> None:
        result = asyncio.run(_judged(bench, product, Fault(*fault), write_tree))
        assert result.verdict == "fail", result.evidence
        assert "\nE  " in result.evidence
        assert "did not start" not in result.evidence

    return run


async def _judged(bench: Bench, product: Product, fault: Fault, write_tree: Callable[..., Tree]) -> CriterionResult:
    """The criterion of a fault by its own test alone: the same judging as ever, on less."""
    spec = product.spec
    criterion = next(each for each in spec.criteria if each.test == fault.test)
    path, _, name = fault.test.partition("::")
    tests = tuple(
        test.model_copy(update={"content": _only(test.content, name)})
        for test in spec.tests
        if test.path in (path, f"{path.partition('/')[0]}/conftest.py")
    )
    version = await bench.version(write_tree(product.broken(fault)))
    if criterion.grade == "verified_io":
        suite = await examine(bench, version, spec.harness, tests)
    else:
        suite = await run_spec_tests(bench, version, tests)
    return judge_criterion(criterion, {criterion.grade: suite}, {})


def _only(source: str, name: str) -> str:
    """A test module without its other tests."""
    module = ast.parse(source)
    module.body = [node for node in module.body if getattr(node, "name", name) == name or not _is_test(node)]
    return ast.unparse(module)


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
