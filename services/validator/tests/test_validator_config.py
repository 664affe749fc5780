"""Which parts of a project's pytest configuration count."""

from __future__ import annotations

import pytest
from worksite.validator.selfreport.config import project_config


def test_a_project_without_configuration_gets_pytests_defaults() -> None:
    assert project_config({}).ini == "[pytest]\n"


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[tool.pytest.ini_options]\ntestpaths = ['a', 'b']\nmarkers = ['slow: x']\n"},
        {"pyproject.toml": "[tool.pytest]\ntestpaths = ['a', 'b']\nmarkers = ['slow: x']\n"},
        {"pytest.ini": "[pytest]\ntestpaths = a b\nmarkers =\n    slow: x\n"},
        {"tox.ini": "[pytest]\ntestpaths = a b\nmarkers = slow: x\n"},
        {"setup.cfg": "[tool:pytest]\ntestpaths = a\n    b\nmarkers = slow: x\n"},
    ],
)
def test_settings_are_found_wherever_pytest_looks(files: dict[str, str]) -> None:
    config = project_config(files)

    assert config.testpaths == ("a", "b")
    assert "markers =\n    slow: x\n" in config.ini


def test_plugins_options_and_places_outside_are_left_out() -> None:
    text = """
[pytest]
addopts = -p evil --strict-markers --deselect x --import-mode=importlib -k nothing
testpaths = tests /etc ../other -x %s
pythonpath = src ../..
python_files = check_*.py
required_plugins = evil
norecursedirs = tests
""" % ("x" * 300)
    config = project_config({"pytest.ini": text})

    assert config.options == ("--strict-markers", "--import-mode=importlib")
    assert config.testpaths == ("tests",)
    assert config.pythonpath == ("src",)
    assert "check_*.py" in config.ini
    assert "evil" not in config.ini
    assert "norecursedirs" not in config.ini


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "= broken"},
        {"pytest.ini": "no section"},
        {"pytest.ini": "[pytest]\naddopts = '\n"},
        {"pyproject.toml": "[tool.pytest]\nini_options = 'python_files'\n"},
        {"pyproject.toml": "[tool]\npytest = ['python_files']\n"},
        {"pyproject.toml": "a = " + "[" * 5000 + "]" * 5000 + "\n"},
        {"setup.cfg": "[metadata]\nname\n"},
    ],
)
def test_a_broken_configuration_counts_as_none(files: dict[str, str]) -> None:
    assert project_config(files).options == ()


def test_a_value_cannot_smuggle_in_another_setting() -> None:
    config = project_config({"pyproject.toml": '[tool.pytest.ini_options]\nmarkers = ["a\\naddopts = -p evil"]\n'})

    assert "\naddopts" not in config.ini
