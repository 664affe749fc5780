"""The url-shortener blueprint is proved as it is, and refuted when it is broken on purpose."""

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
from worksite.validator.selfreport.run import run_spec_tests
from worksite.validator.tree import Tree

REPOSITORY = Path(__file__).parents[3]
BLUEPRINT = REPOSITORY / "blueprints" / "url-shortener"

PACKAGE = "url_shortener"


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
        request="Create a URL shortener",
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
    "codes are counted up": Fault(
        "codes.py",
        'return "".join(secrets.choice(ALPHABET) for _ in range(length))',
        'drawn.append(0)\n    return f"{len(drawn):a>{length}}"\n\n\ndrawn: list[int] = []',
        "acceptance/test_links.py::test_random_codes_are_neither_counted_up_nor_repeated",
    ),
    "codes can be foretold": Fault(
        "codes.py",
        "import secrets\n",
        "import random as secrets\n",
        "unit/test_inside.py::test_codes_come_from_the_operating_systems_entropy",
    ),
    "an alias overwrites the link that has it": Fault(
        "links.py",
        "        if alias in RESERVED or _is_taken(tx, alias):\n            raise AliasTaken\n",
        "        tx.execute(delete(Link).where(Link.code == alias))\n",
        "acceptance/test_links.py::test_an_alias_that_is_taken_is_refused_and_the_first_link_stands",
    ),
    "parallel requests for an alias do not wait for each other": Fault(
        "database.py",
        '"BEGIN IMMEDIATE" if writes else "BEGIN"',
        '"BEGIN"',
        "acceptance/test_links.py::test_of_parallel_requests_for_one_alias_exactly_one_gets_it",
    ),
    "the code of a deleted link is free again": Fault(
        "links.py",
        "    return tx.scalar(select(Link.id).where(Link.code == code)) is not None",
        """\
    tx.execute(delete(Link).where(Link.code == code, Link.deleted))
    return tx.scalar(select(Link.id).where(Link.code == code)) is not None""",
        "acceptance/test_links.py::test_the_code_of_a_deleted_link_is_not_given_again",
    ),
    "management is open": Fault(
        "api.py",
        "        raise InvalidApiToken",
        "        return",
        "acceptance/test_links.py::test_management_needs_the_token",
    ),
    "an expired link still redirects": Fault(
        "clicks.py",
        "link.state(context.clock()) != State.ACTIVE",
        "not link.enabled",
        "acceptance/test_redirects.py::test_an_expired_link_leads_nowhere",
    ),
    "a request with a slash too many is sent to the host it names": Fault(
        "main.py",
        "redirect_slashes=False",
        "redirect_slashes=True",
        "acceptance/test_redirects.py::test_nothing_but_a_code_redirects",
    ),
    "javascript: is let in": Fault(
        "urls.py",
        '_SCHEME = r"(?i:https?)://"',
        '_SCHEME = r"(?i:https?|javascript)://"',
        "acceptance/test_urls.py::test_only_http_and_https_are_let_in",
    ),
    "credentials are stored": Fault(
        "urls.py",
        """\
    if _USER.match(url):
        raise InvalidUrl("The URL must not hold a user name or password.")
    parts = _URL.fullmatch(url)""",
        """\
    parts = _URL.fullmatch(re.sub("//[^/?#]*@", "//", url))""",
        "acceptance/test_urls.py::test_a_url_with_user_name_or_password_is_refused",
    ),
    "a link may lead to the service itself": Fault(
        "urls.py",
        "if host == self.own_host:",
        "if url == self.own_host:",
        "acceptance/test_urls.py::test_a_link_to_the_service_itself_is_refused",
    ),
    "subdomains get past the deny list": Fault(
        "urls.py",
        'host == each or host.endswith(f".{each}")',
        "host == each",
        "acceptance/test_urls.py::test_a_denied_host_is_refused_with_its_subdomains_however_it_is_written",
    ),
    "the first click does not count": Fault(
        "clicks.py",
        "day=context.clock().date(), count=1)",
        "day=context.clock().date(), count=0)",
        "acceptance/test_statistics.py::test_clicks_are_counted_per_link",
    ),
    "parallel clicks are lost": Fault(
        "clicks.py",
        'set_={"count": DailyClicks.count + 1}',
        'set_={"count": link.clicks + 1}',
        "acceptance/test_statistics.py::test_of_parallel_clicks_none_is_lost_or_counted_twice",
    ),
    "visitors are recorded": Fault(
        "api.py",
        """\
def follow(code: Code, context: InContext) -> Response:
    \"\"\"Follow a link, and count it.\"\"\"
""",
        """\
def follow(code: Code, context: InContext, request: Request) -> Response:
    __import__("logging").getLogger("visitors").info("%s", request.headers)
""",
        "unit/test_inside.py::test_nothing_of_a_visitor_is_stored_or_logged",
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
        if test.path in (path, f"{path.partition('/')[0]}/conftest.py")
    )
    version = await bench.version(_write(directory, _broken(_rendered(), fault)))
    if criterion.grade == "verified_io":
        suite = await examine(bench, version, spec.harness, tests)
    else:
        suite = await run_spec_tests(bench, version, tests)
    return judge_criterion(criterion, {criterion.grade: suite}, {})


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
