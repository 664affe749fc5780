"""One self-reported run: a tree, which tests, and a Suite or the reason why it proves nothing."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

from worksite.common.messages import TestFile
from worksite.validator.bench import Bench, Version, python_tool
from worksite.validator.domain.cases import Suite
from worksite.validator.sandbox import Job, Limits, Outcome
from worksite.validator.selfreport.config import PLUGINS, PytestConfig, is_config, project_config
from worksite.validator.selfreport.records import Unbelievable, read_records, sentinel_names
from worksite.validator.testfiles import write_tests
from worksite.validator.tree import Tree

_LIMITS = Limits(wall_seconds=600, cpu_seconds=240, processes=128, result_bytes=16 << 20)
_IMPORT_ROOTS = ("src", ".")
_DRIVER = "import driver; sys.path.remove({!r}); del sys.modules['driver']; driver.main()"
"""Ours first, so that no package of the candidate's stands in for it; then out of the way of a module of that name."""


@dataclass(frozen=True)
class _Plan:
    """One run: a copy of the project, the tests in it or beside it, and how pytest is configured."""

    project: Path
    tests: tuple[Path, ...]
    rootdir: Path
    config: PytestConfig


async def run_project_tests(
    bench: Bench, version: Version, overlay: Tree | None = None, files: Iterable[str] = (), ignored: str | None = None
) -> Suite:
    """The project's own tests; `overlay` and `files` put those files of another tree in place of the project's, which
    then has no other `conftest.py`. `ignored` is a folder whose tests are none of them.

    Raises LauncherError.
    """
    async with bench.copy_of(version.tree) as project:
        if overlay is not None:
            lay_over(overlay, files, project)
            _remove_conftests(project, overlay)
        config = config_of(version.tree)
        tests = tuple(project / path for path in config.testpaths if (project / path).exists())
        config = replace(config, options=(*config.options, f"--ignore={project / ignored}")) if ignored else config
        return await _run(bench, version, _Plan(project, tests or (project,), project, config))


async def run_spec_tests(bench: Bench, version: Version, tests: tuple[TestFile, ...]) -> Suite:
    """Tests that travel in the Spec, from a place where the candidate cannot write. Raises LauncherError."""
    async with bench.copy_of(version.tree) as project, bench.sandbox.new_workspace() as trusted:
        write_tests(trusted, tests)
        pythonpath = config_of(version.tree).pythonpath
        config = PytestConfig(options=("--import-mode=importlib",), pythonpath=pythonpath)
        return await _run(bench, version, _Plan(project, (trusted,), trusted, config))


async def _run(bench: Bench, version: Version, plan: _Plan) -> Suite:
    sentinels, key = sentinel_names(), secrets.token_bytes(32)
    async with bench.sandbox.new_workspace() as ours:
        ini = ours / "pytest.ini"
        ini.write_text(plan.config.ini)
        ini.chmod(0o644)
        order = {"key": key.hex(), "sentinels": sentinels, **_order(version, plan, ini)}
        outcome = await bench.sandbox.run(_job(bench, version, plan, ini, json.dumps(order).encode()))
    try:
        suite = read_records(outcome.result, key, outcome.exit_code, sentinels)
    except Unbelievable as error:
        return Suite({}, _placeless(f"{error}{_last_words(outcome)}", plan), outcome.duration_seconds)
    cases = {name: replace(case, text=_placeless(case.text, plan)) for name, case in suite.cases.items()}
    return replace(suite, cases=cases, seconds=outcome.duration_seconds)


def _placeless(text: str, plan: _Plan) -> str:
    """Paths as they are in the project: where we ran it is nobody's business, and no one can open it."""
    return text.replace(f"{plan.project}/", "").replace(f"{plan.rootdir}/", "")


def _order(version: Version, plan: _Plan, ini: Path) -> dict[str, list[str]]:
    """What the driver has to know."""
    plugins = [plugin for package, plugin in PLUGINS.items() if version.environment.has(package)]
    places = ("-c", str(ini), f"--rootdir={plan.rootdir}", f"--confcutdir={plan.rootdir}", "-p", "no:cacheprovider")
    chosen = (part for plugin in plugins for part in ("-p", plugin))
    options = ("--tb=short", "-q", "--continue-on-collection-errors", *plan.config.options)
    return {
        "import_roots": _import_roots(plan),
        "arguments": [*places, *chosen, *options, *map(str, plan.tests)],
    }


def _import_roots(plan: _Plan) -> list[str]:
    roots = dict.fromkeys((*plan.config.pythonpath, *_IMPORT_ROOTS))
    return [str(plan.project / root) for root in roots if (plan.project / root).is_dir()]


def _job(bench: Bench, version: Version, plan: _Plan, ini: Path, order: bytes) -> Job:
    pytest = () if version.environment.has("pytest") else (bench.tools.pytest,)
    packages = (*version.environment.paths, *pytest)
    python_path = ":".join([*_import_roots(plan), *map(str, packages)])  # for programs that tests start
    return Job(
        argv=python_tool(bench, (bench.tools.programs, *packages), _DRIVER.format(str(bench.tools.programs))),
        workspace=plan.project,
        readable=(bench.tools.programs, ini, plan.rootdir, *packages),
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": python_path, "PYTHONDONTWRITEBYTECODE": "1"},
        limits=_LIMITS,
        stdin=order,
    )


def lay_over(source: Tree, files: Iterable[str], project: Path) -> None:
    """Put these files of `source` in place of whatever a copy of a project has there."""
    for name in files:
        target = project / name
        _make_room(target, project)
        shutil.copyfile(source.path / name, target)


def _remove_conftests(project: Path, overlay: Tree) -> None:
    """Those that `overlay` does not have: they would change what its tests mean."""
    for path in project.rglob("conftest.py"):
        if str(path.relative_to(project)) not in overlay.files and path.is_file():
            path.unlink()


def _make_room(target: Path, project: Path) -> None:
    """The head may have a file where the base has a directory, and the other way round."""
    if target.is_dir():
        shutil.rmtree(target)
    for parent in target.relative_to(project).parents:
        if (project / parent).is_file():
            (project / parent).unlink()
    target.parent.mkdir(parents=True, exist_ok=True)


def config_of(tree: Tree) -> PytestConfig:
    """How the project in `tree` wants its tests collected."""
    texts = {name: (tree.path / name).read_text(errors="replace") for name in tree.files if is_config(name)}
    return project_config(texts)


def _last_words(outcome: Outcome) -> str:
    if outcome.stopped:
        return f" (the sandbox stopped it: {outcome.stopped})"
    said = (outcome.stderr or outcome.stdout).decode(errors="replace").strip()[-1500:]
    ended = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}"
    return f" ({ended})" + (f"; it said:\n{said}" if said else "")
