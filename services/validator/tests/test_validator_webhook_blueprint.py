"""The webhook-receiver blueprint is proved as it is, and refuted when it is broken on purpose."""

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
BLUEPRINT = REPOSITORY / "blueprints" / "webhook-receiver"

PACKAGE = "webhook_receiver"


@pytest.fixture(scope="module", autouse=True)
def wheelhouse() -> None:
    if not (REPOSITORY / ".worksite" / "wheelhouse").is_dir():
        pytest.fail("the wheelhouse of the blueprint's lock is missing; `make` fills it at set-up")


@cache
def _rendered() -> dict[str, str]:
    """The files of the project that the blueprint makes."""
    with TemporaryDirectory() as directory:
        copier.run_copy(str(BLUEPRINT), directory, defaults=True, quiet=True)
        found = (path for path in Path(directory).rglob("*") if path.is_file())
        return {path.relative_to(directory).as_posix(): path.read_text() for path in found}


@cache
def _spec() -> Spec:
    """What the architect writes for the whole product."""
    blueprint = blueprints.load(BLUEPRINT)
    files = [path for folder in ("acceptance", "unit") for path in sorted((BLUEPRINT / folder).glob("*.py"))]
    env = {name: value.replace("{package}", PACKAGE) for name, value in blueprint.interface.env.items()}
    target = blueprint.interface.target.replace("{package}", PACKAGE)
    return Spec(
        title=blueprint.title,
        request="Create a webhook receiver",
        engine="test",
        criteria=blueprint.criteria,
        tests=tuple(TestFile(path=path.relative_to(BLUEPRINT).as_posix(), content=path.read_text()) for path in files),
        harness=blueprint.interface.model_copy(update={"target": target, "env": env}),
    )


@pytest.mark.timeout(240)
def test_the_unbroken_blueprint_passes_with_every_criterion_shown(project: Any, judge: Callable[..., Any]) -> None:
    judged = judge(_spec(), project.commit(_rendered()))

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


FAULTS = {
    "anyone may deliver": Fault(
        "signatures.py",
        "return any(matches)",
        "return any(matches) or bool(presented)",
        "acceptance/test_receiving.py::test_what_is_not_signed_is_refused_alike_and_not_stored",
    ),
    "an id may come with another body": Fault(
        "inbox.py",
        "        if known and known.body_digest != digest:\n            raise DeliveryIdReused\n",
        "",
        "acceptance/test_repetitions.py::test_one_id_with_two_bodies_is_refused",
    ),
    "delays stay the same": Fault(
        "queue.py",
        "2.0 ** min(tries - 1, 64)",
        "1.0",
        "acceptance/test_handling.py::test_delays_double_up_to_a_bound",
    ),
    "parallel repetitions do not wait for each other": Fault(
        "database.py",
        '"BEGIN IMMEDIATE" if writes else "BEGIN"',
        '"BEGIN"',
        "acceptance/test_repetitions.py::test_of_parallel_repetitions_one_is_handled",
    ),
    "attempts that end in a crash do not count": Fault(
        "queue.py",
        "    delivery.tries += 1\n",
        "",
        "acceptance/test_crashes.py::test_a_delivery_that_kills_the_process_each_time_becomes_a_dead_letter",
    ),
    "a purge forgets the delivery": Fault(
        "deliveries.py",
        """        tx.execute(delete(Attempt).where(Attempt.delivery == identity))
        tx.execute(update(Delivery).where(Delivery.id == identity).values(changes))""",
        "        tx.execute(delete(Delivery).where(Delivery.id == identity))",
        "acceptance/test_dead_letters.py::test_a_purged_dead_letter_is_erased_and_its_repetition_not_handled",
    ),
    "administration is open": Fault(
        "api.py",
        "        raise InvalidAdminToken",
        "        return",
        "acceptance/test_dead_letters.py::test_administration_needs_the_token",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_blueprint_is_refuted_by_the_criterion_that_it_breaks(bench: Bench, tmp_path: Path, name: str) -> None:
    result = asyncio.run(judge_broken(bench, FAULTS[name], tmp_path))

    assert result.verdict == "fail", result.evidence
    assert "\nE  " in result.evidence
    assert "did not start" not in result.evidence


async def judge_broken(bench: Bench, fault: Fault, directory: Path) -> CriterionResult:
    """The criterion of a fault by its own test alone: the same judging as ever, on less."""
    spec = _spec()
    criterion = next(each for each in spec.criteria if each.test == fault.test)
    path, _, name = fault.test.partition("::")
    tests = tuple(
        test.model_copy(update={"content": _only(test.content, name)})
        for test in spec.tests
        if test.path in (path, "acceptance/conftest.py")
    )
    version = await bench.version(_write(directory, _broken(_rendered(), fault)))
    suite = await examine(bench, version, spec.harness, tests)
    return judge_criterion(criterion, {"verified_io": suite}, {})


def _broken(files: dict[str, str], fault: Fault) -> dict[str, str]:
    path = f"src/{PACKAGE}/{fault.file}"
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
