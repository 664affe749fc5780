"""The crud-service blueprint is proved for fields of every type, and refuted when it is broken on purpose."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import copier
import pytest
from worksite.common import blueprints
from worksite.common.messages import CriterionResult, Spec, TestFile
from worksite.validator.acceptance.broker import examine
from worksite.validator.bench import Bench
from worksite.validator.domain.judgement import judge_criterion
from worksite.validator.tree import Tree

REPOSITORY = Path(__file__).parents[3]
BLUEPRINT = REPOSITORY / "blueprints" / "crud-service"

Parameters = dict[str, str]

PERSON: Parameters = {
    "resource": "person",
    "plural": "people",
    "fields": "class:text?,type:integer?,order:decimal?,limit:date,sort:datetime?,min_order:email,json:boolean?,a:url?",
    "project_name": "people-service",
    "package": "people_service",
}
"""Every type, optional fields, an irregular plural, and names that Python, SQL, libraries and our own queries use."""


@pytest.fixture(scope="module", autouse=True)
def wheelhouse() -> None:
    if not (REPOSITORY / ".worksite" / "wheelhouse").is_dir():
        pytest.fail("the wheelhouse of the blueprint's lock is missing; `make` fills it at set-up")


def _parameters(chosen: Parameters) -> Parameters:
    defaults = {name: parameter.default for name, parameter in blueprints.load(BLUEPRINT).parameters.items()}
    return defaults | chosen


def _render(chosen: Parameters) -> dict[str, str]:
    """The files of the project that the blueprint makes."""
    with TemporaryDirectory() as directory:
        copier.run_copy(str(BLUEPRINT), directory, data=chosen, defaults=True, quiet=True)
        found = (path for path in Path(directory).rglob("*") if path.is_file())
        return {path.relative_to(directory).as_posix(): path.read_text() for path in found}


def _spec(chosen: Parameters) -> Spec:
    """What the architect writes for the whole product with these parameters."""
    blueprint, parameters = blueprints.load(BLUEPRINT), _parameters(chosen)
    kinds = {field.partition(":")[2].rstrip("?") for field in parameters["fields"].split(",")}
    files = [path for folder in ("acceptance", "unit") for path in sorted((BLUEPRINT / folder).glob("*.py"))]
    contents = {path.relative_to(BLUEPRINT).as_posix(): path.read_text() for path in files}
    for name, value in parameters.items():
        contents = {path: text.replace(f"{{{{ {name} }}}}", value) for path, text in contents.items()}
    target = blueprint.interface.target.replace("{package}", parameters["package"])
    return Spec(
        title=blueprint.title,
        request="Create a CRUD service",
        engine="test",
        criteria=tuple(each for each in blueprint.criteria if each.field_type in (None, *kinds)),
        tests=tuple(TestFile(path=path, content=content) for path, content in contents.items()),
        harness=blueprint.interface.model_copy(update={"target": target}),
    )


@pytest.mark.timeout(240)
def test_the_unbroken_blueprint_passes_with_every_criterion_shown(project: Any, judge: Callable[..., Any]) -> None:
    judged = judge(_spec(PERSON), project.commit(_render(PERSON)))

    refuted = [(each.id, each.evidence) for each in judged.report.criteria if each.verdict != "pass"]
    failed = [(each.name, each.findings, each.evidence) for each in judged.report.checks if each.verdict != "pass"]
    assert (refuted, failed) == ([], [])
    assert judged.report.verdict == "PASS"
    assert {each.name for each in judged.report.checks} >= {"acceptance", "project-tests", "types", "lint", "security"}


@dataclass(frozen=True)
class Fault:
    """A way to break the template, and the test that must notice."""

    file: str
    old: str
    new: str
    test: str


SMALL: Parameters = {"fields": "title:text?,stock:integer,price:decimal"}

FAULTS = {
    "updates are lost": Fault(
        "store.py",
        "if etag(row) not in",
        'if "" in',
        "acceptance/test_locking.py::test_an_outdated_if_match_is_refused",
    ),
    "parallel updates do not wait for each other": Fault(
        "database.py",
        '"BEGIN IMMEDIATE" if writes else "BEGIN"',
        '"BEGIN"',
        "acceptance/test_locking.py::test_of_parallel_updates_with_one_etag_exactly_one_wins",
    ),
    "values are bent into shape": Fault(
        "bodies.py",
        "strict=True",
        "strict=False",
        "acceptance/test_fields.py::test_every_field_refuses_every_other_type",
    ),
    "decimals pass through floating point": Fault(
        "bodies.py",
        "parse_float=Decimal, ",
        "",
        "acceptance/test_fields.py::test_decimal_fields",
    ),
    "pages forget what comes after missing values": Fault(
        "paging.py",
        "value.is_not(None) if end.value is None else value > end.value",
        "value > end.value",
        "acceptance/test_lists.py::test_pages_follow_the_order_of_any_field",
    ),
    "a range leaves its bound out": Fault(
        "models.py",
        "from operator import eq, ge, le",
        "from operator import eq, gt as ge, le",
        "acceptance/test_lists.py::test_integer_fields_filter_by_range",
    ),
    "a filter takes text for a pattern, in any case": Fault(
        "models.py",
        "(ItemRow.title, eq, self.title)",
        "(ItemRow.title, lambda column, text: column.ilike(text), self.title)",
        "acceptance/test_lists.py::test_every_field_filters_by_equality",
    ),
    "text sorts without regard to case": Fault(
        "paging.py",
        "order_by(value, table.id)",
        'order_by(value.collate("NOCASE"), table.id)',
        "acceptance/test_lists.py::test_every_field_sorts_in_both_directions",
    ),
    "PUT keeps what was left out": Fault(
        "api.py",
        "body.model_dump(), if_match",
        "body.model_dump(exclude_unset=True), if_match",
        "acceptance/test_records.py::test_put_replaces_a_record",
    ),
    "nothing outlives the process": Fault(
        "database.py",
        "create_engine(url)",
        'create_engine("sqlite:///file:data?mode=memory&cache=shared&uri=true")',
        "acceptance/test_service.py::test_everything_survives_a_restart",
    ),
}


@cache
def _small() -> dict[str, str]:
    return _render(SMALL)


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_blueprint_is_refuted_by_the_criterion_that_it_breaks(bench: Bench, tmp_path: Path, name: str) -> None:
    result = asyncio.run(judge_broken(bench, FAULTS[name], tmp_path))

    assert result.verdict == "fail", result.evidence
    assert "\nE  " in result.evidence
    assert "did not start" not in result.evidence


async def judge_broken(bench: Bench, fault: Fault, directory: Path) -> CriterionResult:
    """The criterion of a fault by its own test alone: the same judging as ever, on less."""
    spec = _spec(SMALL)
    criterion = next(each for each in spec.criteria if each.test == fault.test)
    path, _, name = fault.test.partition("::")
    tests = tuple(
        test.model_copy(update={"content": _only(test.content, name)})
        for test in spec.tests
        if test.path in (path, "acceptance/conftest.py")
    )
    version = await bench.version(_write(directory, _broken(_small(), fault)))
    suite = await examine(bench, version, spec.harness, tests)
    return judge_criterion(criterion, {"verified_io": suite}, {})


def _broken(files: dict[str, str], fault: Fault) -> dict[str, str]:
    path = f"src/crud_service/{fault.file}"
    assert files[path].count(fault.old) == 1, f"the template has changed: mend the fault in {fault.file}"
    return {**files, path: files[path].replace(fault.old, fault.new)}


def _write(directory: Path, files: dict[str, str]) -> Tree:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Tree(directory, tuple(sorted(files)))


def _only(source: str, name: str) -> str:
    """A test module without its other tests."""
    module = ast.parse(source)
    module.body = [node for node in module.body if getattr(node, "name", name) == name or not _is_test(node)]
    return ast.unparse(module)


def _is_test(node: ast.stmt) -> bool:
    return isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
