"""Checks that a builder asks for while it builds: what they say, and what bounds them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from worksite.common.errors import ServiceUnavailable, StepRefused
from worksite.common.messages import CheckCandidate, ImportedProject, Spec, TestFile
from worksite.validator.bench import Bench
from worksite.validator.checking import Checking

pytestmark = pytest.mark.asyncio
BASE = {
    "calc.py": '"""Numbers."""\n',
    "tests/test_calc.py": "import calc\n\n\ndef test_doc():\n    assert calc.__doc__\n",
}
SECRET = "the Spec's own test"
SPEC = Spec(
    title="Numbers",
    request="add",
    engine="test",
    criteria=(),
    tests=(TestFile(path="acceptance/test_sum.py", content=f"def test_sum(app):\n    assert 0, '{SECRET}'\n"),),
)


def bundled(project: Any, branch: str, commit: str, *without: str) -> bytes:
    project.git("update-ref", f"refs/heads/{branch}", commit)
    file = Path(project.directory, ".git", "some.bundle")
    project.git("bundle", "create", "--quiet", str(file), branch, *without)
    return file.read_bytes()


async def asked(project: Any, artifacts: Any, head: str, base: str, **changed: Any) -> CheckCandidate:
    """As a builder asks: the project as it was imported, and beside it what the candidate has more."""
    bundles = (bundled(project, "base", base), bundled(project, "head", head, f"^{base}"))
    stored = [await artifacts.put(bundle, "application/x-git-bundle") for bundle in bundles]
    imported = ImportedProject(base_sha=base, bundle=stored[0], empty=False)
    spec = await artifacts.put_message(SPEC)
    question = CheckCandidate(tenant="acme", spec=spec, project=imported, head_sha=head, commits=stored[1])
    return question.model_copy(update=changed)


async def test_a_candidate_without_faults_passes_and_the_specs_tests_are_not_run(
    bench: Bench, project: Any, artifacts: Any
) -> None:
    base = project.commit(BASE)
    head = project.commit({**BASE, "more.py": "x = 1\n"})
    text = (await Checking(bench, artifacts).check(await asked(project, artifacts, head, base))).text
    assert [line.partition(" (")[0] for line in text.splitlines()] == ["project-tests: pass", "lint: pass"]
    assert SECRET not in text


async def test_what_fails_is_told_with_its_place_and_in_the_same_words_each_time(
    bench: Bench, project: Any, artifacts: Any
) -> None:
    base = project.commit(BASE)
    head = project.commit({**BASE, "calc.py": "x = undefined_name\n"})
    checking, question = Checking(bench, artifacts), await asked(project, artifacts, head, base)
    first, second = (await checking.check(question)).text, (await checking.check(question)).text
    assert first == second
    assert "project-tests: fail" in first
    assert "- tests/test_calc.py:?: tests/test_calc.py" in first
    assert "- calc.py:1: F821" in first


async def test_a_lock_that_cannot_be_installed_is_told_and_nothing_is_run(
    bench: Bench, project: Any, artifacts: Any
) -> None:
    base = project.commit(BASE)
    head = project.commit({**BASE, "requirements.txt": "worksite-test-no-such-package==1.0\n"})
    text = (await Checking(bench, artifacts).check(await asked(project, artifacts, head, base))).text
    assert text.startswith("nothing was run")
    assert "worksite-test-no-such-package" in text


async def test_a_candidate_that_does_not_go_on_from_the_project_is_refused(
    bench: Bench, project: Any, artifacts: Any
) -> None:
    base = project.commit(BASE)
    head = project.git("commit-tree", "-m", "alone", project.git("rev-parse", f"{base}^{{tree}}"))
    with pytest.raises(StepRefused, match="does not go on"):
        await Checking(bench, artifacts).check(await asked(project, artifacts, head, base))


async def test_a_candidate_that_is_too_large_is_refused_before_it_is_fetched(
    bench: Bench, project: Any, artifacts: Any
) -> None:
    base, head = project.commit(BASE), project.commit({**BASE, "more.py": "x = 1\n"})
    question = await asked(project, artifacts, head, base)
    huge = question.commits.model_copy(update={"size": 1 << 30, "sha256": "0" * 64})
    with pytest.raises(StepRefused, match="at most"):
        await Checking(bench, artifacts).check(question.model_copy(update={"commits": huge}))


class Stuck:
    """A store that does not answer, in the place of a candidate whose checks do not end."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def get(self, _: Any) -> bytes:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


async def test_checks_that_take_too_long_are_stopped_and_the_next_ones_have_their_turn(
    bench: Bench, project: Any, artifacts: Any
) -> None:
    base, head = project.commit(BASE), project.commit({**BASE, "more.py": "x = 1\n"})
    question, stuck = await asked(project, artifacts, head, base), Stuck()
    checking: Any = Checking(bench, stuck, whole_seconds=0.01)  # type: ignore[arg-type]
    for _ in range(2):
        assert "were stopped" in (await checking.check(question)).text


async def test_who_would_have_to_wait_too_long_is_told_that_the_validator_is_busy(
    bench: Bench, project: Any, artifacts: Any
) -> None:
    base, head = project.commit(BASE), project.commit({**BASE, "more.py": "x = 1\n"})
    question, stuck = await asked(project, artifacts, head, base), Stuck()
    checking = Checking(bench, stuck, wait_seconds=0.01)  # type: ignore[arg-type]
    first = asyncio.create_task(checking.check(question))
    await stuck.asked.wait()
    with pytest.raises(ServiceUnavailable, match="busy"):
        await checking.check(question)
    first.cancel()
    await asyncio.wait([first])
