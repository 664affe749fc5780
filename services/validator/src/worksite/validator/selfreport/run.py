"""One self-reported run: a tree, which tests, and a Suite or the reason why it proves nothing."""

from __future__ import annotations

import json
import secrets
import shutil
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from worksite.common.messages import TestFile
from worksite.validator.bench import Bench, Version
from worksite.validator.domain.cases import Suite
from worksite.validator.sandbox import Job, Limits, Outcome
from worksite.validator.selfreport.config import PLUGINS, PytestConfig, is_config, project_config
from worksite.validator.selfreport.records import Sentinel, Unbelievable, read_records, sentinels
from worksite.validator.testfiles import write_tests
from worksite.validator.tree import Tree

SUITE_SECONDS = 300.0
_LIMITS = Limits(wall_seconds=SUITE_SECONDS, cpu_seconds=240, processes=128, result_bytes=16 << 20)
_IMPORT_ROOTS = ("src", ".")


@dataclass(frozen=True)
class _Plan:
    """What one run collects, and how."""

    config: PytestConfig
    tests: tuple[Path, ...]
    rootdir: Path
    own_conftest: bool


async def run_project_tests(
    bench: Bench, version: Version, overlay: Tree | None = None, files: Iterable[str] = ()
) -> Suite:
    """The project's own tests; `overlay` and `files` put those files of another tree in place of the project's.

    Raises LauncherError.
    """
    async with bench.copy_of(version.tree) as project:
        if overlay is not None:
            _overlay(overlay, files, project)
        config = project_config(_texts(version.tree))
        tests = tuple(project / path for path in config.testpaths if (project / path).exists())
        return await _run(bench, version, project, _Plan(config, tests or (project,), project, own_conftest=True))


async def run_spec_tests(bench: Bench, version: Version, tests: tuple[TestFile, ...]) -> Suite:
    """Tests that travel in the Spec, from a place where the candidate cannot write. Raises LauncherError."""
    async with bench.copy_of(version.tree) as project, bench.sandbox.new_workspace() as trusted:
        write_tests(trusted, tests)
        asked = project_config(_texts(version.tree))
        config = PytestConfig(asked.ini, ("--import-mode=importlib",), pythonpath=asked.pythonpath)
        return await _run(bench, version, project, _Plan(config, (trusted,), trusted, own_conftest=False))


async def _run(bench: Bench, version: Version, project: Path, plan: _Plan) -> Suite:
    planted, key = sentinels(), secrets.token_bytes(32)
    async with bench.sandbox.new_workspace() as ours:
        _plant(ours, plan.config, planted)
        job = _job(bench, version, project, plan, ours, key)
        outcome = await bench.sandbox.run(job)
    try:
        suite = read_records(outcome.result, key, outcome.exit_code, planted)
    except Unbelievable as error:
        return Suite({}, f"{error}{_last_words(outcome)}", outcome.duration_seconds)
    return Suite(suite.cases, None, outcome.duration_seconds)


def _job(bench: Bench, version: Version, project: Path, plan: _Plan, ours: Path, key: bytes) -> Job:
    packages = [path for path in (version.environment.path,) if path]
    if not version.environment.has("pytest"):
        packages.append(bench.tools.pytest)
    roots = dict.fromkeys((*plan.config.pythonpath, *_IMPORT_ROOTS))
    plugins = [plugin for package, plugin in PLUGINS.items() if version.environment.has(package)]
    arguments = [
        *(
            "-c",
            str(ours / "pytest.ini"),
            f"--rootdir={plan.rootdir}",
            f"--confcutdir={plan.rootdir}",
            "-p",
            "no:cacheprovider",
            "--tb=short",
            "-q",
        ),
        *(part for plugin in plugins for part in ("-p", plugin)),
        *plan.config.options,
        "--continue-on-collection-errors",
        *map(str, plan.tests),
        str(ours),
    ]
    config = {
        "key": key.hex(),
        "packages": [str(path) for path in packages],
        "import_roots": [str(project / root) for root in roots if (project / root).is_dir()],
        "arguments": arguments,
    }
    driver = bench.tools.program("driver.py")
    python_path = ":".join([*config["import_roots"], *config["packages"]])  # for programs that tests start
    return Job(
        argv=(str(bench.sandbox.python), "-I", "-S", "-B", str(driver)),
        workspace=project,
        readable=(driver.parent, ours, plan.rootdir, *packages),
        env={"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": python_path, "PYTHONDONTWRITEBYTECODE": "1"},
        limits=_LIMITS,
        stdin=json.dumps(config).encode(),
    )


def _plant(ours: Path, config: PytestConfig, planted: Iterable[Sentinel]) -> None:
    ours.chmod(0o755)
    (ours / "pytest.ini").write_text(config.ini)
    for sentinel in planted:
        (ours / sentinel.file).write_text(sentinel.source)
    for path in ours.iterdir():
        path.chmod(0o644)


def _overlay(source: Tree, files: Iterable[str], project: Path) -> None:
    for name in files:
        target = project / name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source.path / name, target)


def _texts(tree: Tree) -> dict[str, str]:
    return {name: (tree.path / name).read_text(errors="replace") for name in tree.files if is_config(name)}


def _last_words(outcome: Outcome) -> str:
    if outcome.stopped:
        return f" (the sandbox stopped it: {outcome.stopped})"
    said = (outcome.stderr or outcome.stdout).decode(errors="replace").strip()[-1500:]
    ended = f"signal {outcome.signal}" if outcome.signal else f"exit code {outcome.exit_code}"
    return f" ({ended})" + (f"; it said:\n{said}" if said else "")
