"""Which parts of a project's pytest configuration count.

The project's own tests may say how they want to be collected; they may not load plugins, deselect, or add options. So
settings are copied one by one from an allow-list into a configuration file of ours.
"""

from __future__ import annotations

import configparser
import os
import shlex
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, cast

_COPIED = (
    "python_files",
    "python_classes",
    "python_functions",
    "markers",
    "filterwarnings",
    "xfail_strict",
    "asyncio_mode",
    "asyncio_default_fixture_loop_scope",
    "asyncio_default_test_loop_scope",
    "anyio_mode",
)
_MAX_PATH = 255
_OPTIONS = ("--import-mode", "--strict-markers", "--strict-config", "--strict")
_SOURCES = ("pytest.ini", ".pytest.ini", "pyproject.toml", "tox.ini", "setup.cfg")
PLUGINS = {"pytest_asyncio": "pytest_asyncio", "anyio": "anyio.pytest_plugin", "pytest_mock": "pytest_mock"}
"""Plugins that a project's lock may bring, by import package; no other is loaded."""


@dataclass(frozen=True)
class PytestConfig:
    """`ini` is a whole configuration file; `options` go on the command line; paths are inside the project."""

    ini: str = "[pytest]\n"
    options: tuple[str, ...] = ()
    testpaths: tuple[str, ...] = ()
    pythonpath: tuple[str, ...] = ()
    python_files: tuple[str, ...] = ("test_*.py", "*_test.py")


def project_config(files: Mapping[str, str]) -> PytestConfig:
    """From the configuration files at the top of a project, in pytest's own order of precedence."""
    settings = next((found for name in _SOURCES if (found := _section(name, files.get(name, "")))), {})
    copied = {key: settings[key] for key in _COPIED if key in settings}
    lines = [f"{key} =\n{_indented(value)}" for key, value in copied.items()]
    return PytestConfig(
        ini="\n".join(["[pytest]", *lines, ""]),
        options=tuple(_options(_words(settings.get("addopts", [])))),
        testpaths=_inside(_words(settings.get("testpaths", []))),
        pythonpath=_inside(_words(settings.get("pythonpath", []))),
        python_files=tuple(_words(settings.get("python_files", []))) or PytestConfig.python_files,
    )


def is_config(name: str) -> bool:
    """Whether `project_config` looks at a file of this name."""
    return name in _SOURCES


def _section(name: str, text: str) -> dict[str, Any]:
    try:
        if name == "pyproject.toml":
            tool = tomllib.loads(text).get("tool", {}).get("pytest", {})
            settings = tool.get("ini_options", {}) or {k: v for k, v in tool.items() if k != "ini_options"}
            return cast("dict[str, Any]", settings) if isinstance(settings, dict) else {}
        parser = configparser.RawConfigParser(strict=False)
        parser.read_string(text)
        section = "tool:pytest" if name == "setup.cfg" else "pytest"
        return dict(parser[section]) if parser.has_section(section) else {}
    except (tomllib.TOMLDecodeError, configparser.Error, AttributeError, RecursionError):
        return {}


def _words(value: Any) -> list[str]:
    """A setting as words: TOML gives a list or a text, INI files a text."""
    if isinstance(value, list):
        return [str(each) for each in cast("list[Any]", value)]
    try:
        return shlex.split(str(value))
    except ValueError:
        return []


def _indented(value: Any) -> str:
    """As continuation lines: a line break inside a value must not begin a setting of its own."""
    text = "\n".join(map(str, cast("list[Any]", value))) if isinstance(value, list) else str(value)
    return "\n".join(f"    {line.strip()}" for line in text.splitlines() if line.strip())


def _options(words: list[str]) -> list[str]:
    return [word for word in words if word.split("=")[0] in _OPTIONS]


def _inside(paths: list[str]) -> tuple[str, ...]:
    return tuple(path for path in paths if not path.startswith(("/", "-")) and _is_usable(path))


def _is_usable(path: str) -> bool:
    return ".." not in PurePosixPath(path).parts and "\0" not in path and len(os.fsencode(path)) <= _MAX_PATH
