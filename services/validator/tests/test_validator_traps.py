"""A project full of traps is judged at every level: none goes off outside the sandbox, and no secret comes home."""

from __future__ import annotations

import asyncio
import pickle
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from worksite.common.messages import Criterion, Spec
from worksite.validator.bench import Bench
from worksite.validator.main import open_bench
from worksite.validator.sandbox.settings import Mode
from worksite.validator.settings import ValidatorSettings

SECRET = "token-of-the-service-4711"
OWN_TESTS = Criterion(id="project-tests", statement="The project's own tests pass.", grade="self_reported")
TRAP = """
import os, pathlib, socket
try:
    pathlib.Path({place!r}).joinpath({name!r}).write_text(repr(dict(os.environ)))
except OSError as error:
    print({name!r}, error, dict(os.environ), flush=True)
"""
TESTS = """
import os
from app import one

def test_one():
    assert one() == 1

def test_what_is_here():
    raise AssertionError(" ".join(f"{name}={value}" for name, value in os.environ.items()))
"""
MYPY_PLUGIN = "\ndef plugin(version):\n    from mypy.plugin import Plugin\n    return Plugin\n"


class Loaded:
    """Runs its source where its pickle is read."""

    def __init__(self, source: str) -> None:
        self.source = source

    def __reduce__(self) -> Any:
        return exec, (self.source,)


def trapped(place: Path) -> dict[str, str]:
    """A right program among everything that some tool runs, loads or reads unasked."""

    def trap(name: str) -> str:
        return TRAP.format(place=str(place), name=name)

    return {
        "app.py": trap("app") + "\ndef one():\n    return 1\n",
        "tests/test_app.py": TESTS,
        "conftest.py": trap("conftest"),
        "tests/conftest.py": trap("tests-conftest"),
        "sitecustomize.py": trap("sitecustomize"),
        "usercustomize.py": trap("usercustomize"),
        "setup.py": trap("setup"),
        "noxfile.py": trap("nox"),
        "tasks.py": trap("tasks"),
        "evil.py": trap("plugin") + MYPY_PLUGIN,
        "evil.pth": f"import os; {trap('pth').strip().splitlines()[-1].strip()}\n",
        "pytest.py": trap("shadow-of-pytest"),
        "ruff.py": trap("shadow-of-ruff"),
        "bandit.py": trap("shadow-of-bandit"),
        "data.pickle": pickle.dumps(Loaded(trap("pickle")), protocol=0).decode(),
        "pytest.ini": "[pytest]\naddopts = -p evil\n",
        "mypy.ini": "[mypy]\nplugins = evil.py\n",
        "ruff.toml": 'extend = "/etc/passwd"\n',
        ".bandit": "[bandit]\nexclude = app.py\n",
        ".gitattributes": "* filter=evil diff=evil merge=evil\n",
        ".gitmodules": '[submodule "x"]\n\tpath = x\n\turl = ext::sh -c "touch /tmp/x"\n',
        ".pre-commit-config.yaml": "repos: []\n",
        "Makefile": f"all:\n\ttouch {place}/make\n",
        "worksite.toml": '[checks.trap]\ncommand = ["python", "setup.py"]\n',
    }


@pytest.fixture
def place() -> Iterator[Path]:
    """Where every user of this machine may write: only a sandbox keeps traps from it."""
    directory = Path(tempfile.mkdtemp(prefix="worksite-traps-", dir="/var/tmp"))
    directory.chmod(0o777)
    yield directory
    shutil.rmtree(directory)


def opened(level: Mode, state: Path) -> Bench:
    try:
        return asyncio.run(open_bench(ValidatorSettings(state_dir=state, sandbox=level)))
    except Exception as error:
        pytest.skip(str(error))


@pytest.fixture(params=["jail", "namespaces"])
def bench(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """In place of the bench that other tests share: one for each level, in a service that has a secret."""
    monkeypatch.setenv("SERVICE_TOKEN", SECRET)
    return opened(request.param, Path(__file__).parents[3] / ".worksite" / "validator-tests")


@pytest.mark.timeout(1200)  # a guard against hanging, not a measure
def test_no_trap_goes_off_outside_and_no_secret_comes_home(bench: Bench, judge: Any, project: Any, place: Path) -> None:
    spec = Spec(title="t", request="r", engine="rules", criteria=(OWN_TESTS,))
    files = trapped(place)

    base = project.commit({**files, "app.py": "def one():\n    return 2\n"})
    judged = judge(spec, project.commit(files), base)

    assert list(place.iterdir()) == []
    assert SECRET not in judged.report.model_dump_json() + judged.document
    assert "USER=sandbox" in judged.document  # of what the project's test saw of its environment


def test_the_same_traps_go_off_where_nothing_confines_them(place: Path) -> None:
    for name, source in trapped(place).items():
        if name.endswith(".py"):
            subprocess.run([sys.executable, "-c", source], check=False, capture_output=True)
        if name.endswith(".pickle"):
            command = [sys.executable, "-c", "import pickle, sys; pickle.loads(sys.argv[1].encode())", source]
            subprocess.run(command, check=True, capture_output=True)

    assert {"app", "conftest", "sitecustomize", "setup", "plugin", "pickle"} <= {path.name for path in place.iterdir()}
