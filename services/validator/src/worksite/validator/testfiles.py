"""The Spec's tests as files that a sandboxed process can read and nobody in a sandbox can write."""

from __future__ import annotations

from pathlib import Path, PurePosixPath

from worksite.common.messages import TestFile

_TRUSTED_CONFIG = "[pytest]\n"


def write_tests(directory: Path, tests: tuple[TestFile, ...]) -> None:
    """Below `directory`, beside a pytest configuration of ours."""
    directory.chmod(0o755)
    for test in tests:
        path = directory / PurePosixPath(test.path)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(test.content)
    (directory / "pytest.ini").write_text(_TRUSTED_CONFIG)
    for path in directory.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def stray_test(tests: tuple[TestFile, ...]) -> str | None:
    """The path of a test that would be written outside its folder, if there is one."""
    for test in tests:
        path = PurePosixPath(test.path)
        if path.is_absolute() or ".." in path.parts or not path.name.endswith(".py"):
            return test.path
    return None
