"""Somebody has a repository of theirs judged, and afterwards there is nothing new but the state and the results."""

import contextlib
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
WORKSITE = [sys.executable, "-m", "worksite.cli.main"]
IDENTITY = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
FILES = {
    "calc.py": "def add(a, b):\n    return a + b\n",
    "test_calc.py": "from calc import add\n\n\ndef test_add():\n    assert add(2, 3) == 5\n",
}


def git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(["git", *IDENTITY, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that the sandbox user may pass through, with a home and a place for temporary files of its own."""
    with tempfile.TemporaryDirectory(prefix="ws-") as folder:
        Path(folder).chmod(0o755)
        for name in ("home", "tmp", "state", "calc"):
            Path(folder, name).mkdir()
        yield Path(folder)


def still_running(place: Path) -> list[str]:
    """Command lines of processes that were told of this place."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            command = (process / "cmdline").read_bytes()
            if os.fsencode(place) in command + (process / "environ").read_bytes():
                found.append(command.replace(b"\0", b" ").decode())
    return found


@pytest.mark.proof
@pytest.mark.timeout(400)
def test_a_review_leaves_nothing_behind_but_the_state_and_the_results(place):
    (place / "state" / "wheelhouse").symlink_to(ROOT / ".worksite" / "wheelhouse")
    for name, text in FILES.items():
        (place / "calc" / name).write_text(text)
    for arguments in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "calc"]):
        git(place / "calc", *arguments)
    before = git(place / "calc", "for-each-ref"), git(place / "calc", "status", "--porcelain", "--ignored")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("ANTHROPIC_", "WORKSITE_"))}
    environment = ours | {
        "HOME": str(place / "home"),
        "TMPDIR": str(place / "tmp"),
        "KNOWLEDGE_DIRS": str(place / "calc"),
        "WORKSITE_ROOT": str(ROOT),
    }

    command = [*WORKSITE, "review", ".", "--state", str(place / "state"), "--out", str(place / "out")]
    done = subprocess.run(
        command, cwd=place / "calc", env=environment, capture_output=True, text=True, timeout=300, check=False
    )

    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(path.name for path in place.iterdir()) == ["calc", "home", "out", "state", "tmp"]
    assert [str(path) for folder in ("home", "tmp") for path in (place / folder).rglob("*")] == []
    assert (git(place / "calc", "for-each-ref"), git(place / "calc", "status", "--porcelain", "--ignored")) == before
    assert still_running(place) == []
