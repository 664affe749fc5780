"""Each blueprint is consistent: manifest, tests, template and lock agree with each other.

`crud-service` has a file of its own, because its fields make it another project with each request.
"""

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from ruff import find_ruff_bin
from worksite.common import blueprints
from worksite.common.blueprints import Blueprint

JUDGES = ("acceptance", "unit")
BLUEPRINTS = {manifest.parent.name for manifest in Path(__file__).parents[1].glob("*/blueprint.toml")}
OF_THE_WHOLE = {"auth-service": {"login-hides-accounts", "login-hides-accounts-in-time", "tokens-not-stored"}}
"""Criteria that no phrase asks for: whoever asks for anything gets them."""


@pytest.fixture(scope="module", params=sorted(BLUEPRINTS - {"crud-service"}))
def blueprint(request: pytest.FixtureRequest) -> Path:
    """Its folder."""
    return Path(__file__).parents[1] / str(request.param)


@pytest.fixture(scope="module")
def manifest(blueprint: Path) -> Blueprint:
    return blueprints.load(blueprint)


def _render(blueprint: Path, destination: Path, **answers: str) -> dict[str, bytes]:
    copier.run_copy(str(blueprint), destination, data=answers, defaults=True, unsafe=False, quiet=True)
    files = [path for path in sorted(destination.rglob("*")) if path.is_file()]
    return {path.relative_to(destination).as_posix(): path.read_bytes() for path in files}


@pytest.fixture(scope="module")
def project(blueprint: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    return _render(blueprint, tmp_path_factory.mktemp("project"))


def _tests(blueprint: Path) -> list[str]:
    return [
        f"{path.relative_to(blueprint).as_posix()}::{node.name}"
        for folder in JUDGES
        for path in sorted((blueprint / folder).glob("test_*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def _locked(project: dict[str, bytes]) -> dict[str, str]:
    """Each requirement of the lock with its block of hashes."""
    blocks = re.findall(
        r"^(\S+==\S+)((?: \\\n    --hash=sha256:[0-9a-f]{64})+)\n", _text(project, "requirements.lock"), re.M
    )
    return dict(blocks)


def _text(project: dict[str, bytes], path: str) -> str:
    return project[path].decode()


def test_every_criterion_has_one_test_and_every_test_one_criterion(blueprint: Path, manifest: Blueprint) -> None:
    named = [criterion.test for criterion in manifest.criteria]

    assert sorted(filter(None, named)) == sorted(_tests(blueprint))
    assert len(set(named)) == len(manifest.criteria) == len({criterion.id for criterion in manifest.criteria})


def test_a_grade_says_where_the_test_runs(manifest: Blueprint) -> None:
    folders = {"verified_io": "acceptance", "self_reported": "unit"}

    for criterion in manifest.criteria:
        assert str(criterion.test).startswith(f"{folders[criterion.grade]}/")


def test_every_phrase_maps_to_criteria_that_exist_and_stands_once(manifest: Blueprint) -> None:
    known = {criterion.id for criterion in manifest.criteria}
    phrases = [phrase for feature in manifest.vocabulary.features for phrase in feature.phrases]

    for feature in manifest.vocabulary.features:
        assert set(feature.criteria) <= known, feature.id
    actions = [action for feature in manifest.vocabulary.features for action in feature.actions]
    for listed in (phrases, actions, list(manifest.vocabulary.product)):
        assert len(set(listed)) == len(listed)
        assert all(re.fullmatch(r"[a-z0-9]+((?:[ /]|, )[a-z0-9]+)*", phrase) for phrase in listed)


def test_every_criterion_can_be_reached_by_a_request_or_belongs_to_the_whole(manifest: Blueprint) -> None:
    asked_for = {criterion for feature in manifest.vocabulary.features for criterion in feature.criteria}

    whole = {criterion.id for criterion in manifest.criteria} - asked_for

    assert asked_for <= {criterion.id for criterion in manifest.criteria}
    assert whole == OF_THE_WHOLE.get(manifest.name, set())


def test_acceptance_tests_import_the_standard_library_only(blueprint: Path) -> None:
    for path in (blueprint / "acceptance").glob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert {module.partition(".")[0] for module in modules} <= {*sys.stdlib_module_names, "pytest"}


def test_the_questions_are_the_parameters_and_nothing_of_the_template_runs(
    blueprint: Path, manifest: Blueprint
) -> None:
    config: dict[str, Any] = yaml.safe_load((blueprint / "copier.yml").read_text())
    questions = {name: body["default"] for name, body in config.items() if not name.startswith("_")}

    assert questions == {name: parameter.default for name, parameter in manifest.parameters.items()}
    assert config.keys() - questions.keys() == {"_subdirectory", "_templates_suffix"}


def test_two_renders_are_equal(blueprint: Path, project: dict[str, bytes], tmp_path: Path) -> None:
    assert _render(blueprint, tmp_path / "again") == project


def test_the_parameters_reach_every_name(blueprint: Path, tmp_path: Path) -> None:
    project = _render(blueprint, tmp_path / "project", project_name="gate-keeper", package="gate")

    everything = "\n".join([*project, *(content.decode() for content in project.values())])
    assert "src/gate/main.py" in project
    assert 'title="gate-keeper"' in _text(project, "src/gate/main.py")
    assert blueprint.name.replace("-", "_") not in everything
    assert blueprint.name not in everything


@pytest.mark.parametrize("package", ["a", "zz"])
def test_the_project_is_in_style_whatever_its_package_is_called(blueprint: Path, tmp_path: Path, package: str) -> None:
    _render(blueprint, tmp_path, package=package)

    checked = subprocess.run([find_ruff_bin(), "check", "."], cwd=tmp_path, capture_output=True, text=True, check=False)

    assert checked.returncode == 0, checked.stdout


@pytest.mark.parametrize("answers", [{"package": "Not-A-Package"}, {"project_name": "../x"}])
def test_a_parameter_that_is_no_name_is_refused(blueprint: Path, tmp_path: Path, answers: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="Validation error"):
        _render(blueprint, tmp_path / "project", **answers)


def test_nothing_is_left_unrendered(project: dict[str, bytes]) -> None:
    for path, content in project.items():
        assert not path.endswith(".jinja")
        for mark in ("{{", "{%", "{#"):
            assert mark not in path + content.decode(), path


def test_python_and_toml_of_the_project_parse(project: dict[str, bytes], manifest: Blueprint) -> None:
    for path, content in project.items():
        if path.endswith(".py"):
            ast.parse(content)
    tomllib.loads(_text(project, "pyproject.toml"))
    module = manifest.interface.target.replace("{package}", manifest.parameters["package"].default).partition(":")[0]
    assert f"src/{module.replace('.', '/')}.py" in project


def test_the_lock_pins_and_hashes_everything_the_project_declares(project: dict[str, bytes]) -> None:
    declared = tomllib.loads(_text(project, "pyproject.toml"))["project"]
    names = [
        re.split(r"[>=<~!\[;]", each)[0]
        for each in [*declared["dependencies"], *declared["optional-dependencies"]["dev"]]
    ]
    locked = _locked(project)

    assert "".join(f"{pin}{hashes}\n" for pin, hashes in locked.items()) == _text(project, "requirements.lock")
    assert set(names) <= {pin.partition("==")[0] for pin in locked}


def test_the_lock_names_no_host(project: dict[str, bytes]) -> None:
    assert "://" not in _text(project, "requirements.lock")
    assert "--index" not in _text(project, "requirements.lock")
