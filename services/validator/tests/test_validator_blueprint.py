"""The auth-service blueprint is proved as it is, and refuted, criterion by criterion, when it is broken on purpose."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import copier
import pytest
from worksite.common import blueprints
from worksite.common.messages import Criterion, CriterionResult, Spec, TestFile
from worksite.validator.acceptance.broker import examine
from worksite.validator.bench import Bench, Version
from worksite.validator.domain.judgement import judge_criterion
from worksite.validator.selfreport.run import run_spec_tests
from worksite.validator.tree import Tree

REPOSITORY = Path(__file__).parents[3]
BLUEPRINT = REPOSITORY / "blueprints" / "auth-service"
PACKAGE = "auth_service"


@pytest.fixture(scope="module", autouse=True)
def wheelhouse() -> None:
    if not (REPOSITORY / ".worksite" / "wheelhouse").is_dir():
        pytest.fail("the wheelhouse of the blueprint's lock is missing; `make` fills it at set-up")


@pytest.fixture(scope="module")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The files of the project that the blueprint makes."""
    directory = tmp_path_factory.mktemp("rendered")
    copier.run_copy(str(BLUEPRINT), str(directory), defaults=True, quiet=True)
    found = (path for path in directory.rglob("*") if path.is_file())
    return {path.relative_to(directory).as_posix(): path.read_text() for path in found}


@pytest.fixture(scope="module")
def spec() -> Spec:
    """What the architect writes for the whole product."""
    blueprint = blueprints.load(BLUEPRINT)
    target = blueprint.interface.target.replace("{package}", PACKAGE)
    files = [path for folder in ("acceptance", "unit") for path in sorted((BLUEPRINT / folder).glob("*.py"))]
    return Spec(
        title=blueprint.title,
        request="Create auth system",
        engine="test",
        criteria=blueprint.criteria,
        tests=tuple(TestFile(path=path.relative_to(BLUEPRINT).as_posix(), content=_filled(path)) for path in files),
        harness=blueprint.interface.model_copy(update={"target": target}),
    )


def _filled(path: Path) -> str:
    return path.read_text().replace("{package}", PACKAGE)


@pytest.mark.timeout(240)
def test_the_unbroken_blueprint_passes_with_every_criterion_shown(
    rendered: dict[str, str], spec: Spec, project: Any, judge: Callable[..., Any]
) -> None:
    judged = judge(spec, project.commit(rendered))

    refuted = [(each.id, each.evidence) for each in judged.report.criteria if each.verdict != "pass"]
    failed = [(each.name, each.findings) for each in judged.report.checks if each.verdict != "pass"]
    assert (refuted, failed) == ([], [])
    assert judged.report.verdict == "PASS"
    assert {each.name for each in judged.report.checks} >= {"acceptance", "project-tests", "types", "lint", "security"}
    assert judged.report.environment.lock == "requirements.lock"


@dataclass(frozen=True)
class Fault:
    """A way to break the template, and the test that must notice."""

    file: str
    old: str
    new: str
    test: str


FAULTS = {
    "login accepts any password": Fault(
        "passwords.py",
        "        except (VerificationError, InvalidHashError):\n            return False",
        "        except (VerificationError, InvalidHashError):\n            return password_hash is not None",
        "acceptance/test_sessions.py::test_login_refuses_every_other_password",
    ),
    "a refresh token works for ever": Fault(
        "sessions.py",
        "    token.used_at = now\n",
        "",
        "acceptance/test_sessions.py::test_refresh_token_works_only_once",
    ),
    "reuse of a refresh token is not noticed": Fault(
        "sessions.py",
        "        session.revoked_at = now\n        audit.record(tx, Action.REFRESH_REUSED",
        "        audit.record(tx, Action.REFRESH_REUSED",
        "acceptance/test_sessions.py::test_refresh_reuse_revokes_the_whole_family",
    ),
    "logout does nothing": Fault(
        "sessions.py",
        "            session.revoked_at = now\n            audit.record(tx, Action.LOGGED_OUT",
        "            audit.record(tx, Action.LOGGED_OUT",
        "acceptance/test_sessions.py::test_logout_ends_the_session_at_once",
    ),
    "there is no lockout": Fault(
        "throttle.py",
        "if attempts.count >= allowed:\n            raise",
        "if attempts.count < 0:\n            raise",
        "acceptance/test_sessions.py::test_lockout_does_not_tell_whether_the_account_exists",
    ),
    "passwords are kept in plain text": Fault(
        "passwords.py",
        "        return self._hasher.hash(_normalise(password))",
        "        return password",
        "unit/test_inside.py::test_passwords_are_stored_only_as_argon2id_hashes",
    ),
    "the audit log is dropped": Fault(
        "audit.py",
        "    tx.add(AuditEvent(action=action, account_id=account_id, at=now, ip=ip))",
        "    del tx, action, account_id, now, ip",
        "acceptance/test_accounts.py::test_audit_log_records_what_happened_to_the_account",
    ),
    "everyone reads everyone's audit log": Fault(
        "audit.py",
        ".where(AuditEvent.account_id == account_id)",
        "",
        "acceptance/test_accounts.py::test_audit_log_is_private_to_its_account",
    ),
    "expired access tokens are accepted": Fault(
        "tokens.py",
        "            now=int(now.timestamp()),",
        "            now=int(now.timestamp()),\n            leeway=10**9,",
        "acceptance/test_tokens.py::test_access_token_is_refused_unless_every_claim_is_right",
    ),
    "expired refresh tokens are accepted": Fault(
        "sessions.py",
        "if token is None or token.expires_at <= now:",
        "if token is None:",
        "acceptance/test_sessions.py::test_refresh_token_expires",
    ),
    "nothing outlives the process": Fault(
        "database.py",
        "create_engine(url)",
        'create_engine("sqlite:///file:auth?mode=memory&cache=shared&uri=true")',
        "acceptance/test_service.py::test_everything_survives_a_restart",
    ),
}


@pytest.mark.parametrize("name", FAULTS)
def test_a_broken_blueprint_is_refuted_by_the_criterion_that_it_breaks(
    bench: Bench, rendered: dict[str, str], spec: Spec, tmp_path: Path, name: str
) -> None:
    fault = FAULTS[name]
    criterion = next(each for each in spec.criteria if each.test == fault.test)

    result = asyncio.run(_judged(bench, spec, criterion, _write(tmp_path, _broken(rendered, fault))))

    assert result.verdict == "fail", result.evidence
    assert "\nE  " in result.evidence
    assert "did not start" not in result.evidence


def _broken(rendered: dict[str, str], fault: Fault) -> dict[str, str]:
    path = f"src/{PACKAGE}/{fault.file}"
    assert rendered[path].count(fault.old) == 1, f"the template has changed: mend the fault in {fault.file}"
    return {**rendered, path: rendered[path].replace(fault.old, fault.new)}


def _write(directory: Path, files: dict[str, str]) -> Tree:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return Tree(directory, tuple(sorted(files)))


async def _judged(bench: Bench, spec: Spec, criterion: Criterion, tree: Tree) -> CriterionResult:
    """One criterion by its own test alone: the same judging as ever, on less."""
    path, _, name = str(criterion.test).partition("::")
    [file] = [test for test in spec.tests if test.path == path]
    tests = (TestFile(path=path, content=_only(file.content, name)),)
    version: Version = await bench.version(tree)
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
