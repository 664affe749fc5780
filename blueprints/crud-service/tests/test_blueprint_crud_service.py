"""The blueprint is consistent: manifest, tests, template and lock agree with each other, whatever the fields."""

import ast
import keyword
import re
import sys
import tomllib
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from pydantic import BaseModel
from worksite.common import blueprints
from worksite.common.blueprints import Blueprint

BLUEPRINT = Path(__file__).parents[1]
JUDGES = ("acceptance", "unit")
EVERY_TYPE = "a:text,b:integer?,c:decimal,d:boolean,e:date?,f:datetime,g:email?,h:url"
AWKWARD = "class:text,type:text,order:integer,limit:integer?,sort:text,min_order:text,json:date,self:text,copy:decimal"


@pytest.fixture(scope="module")
def manifest() -> Blueprint:
    return blueprints.load(BLUEPRINT)


def _render(destination: Path, **answers: str) -> dict[str, str]:
    copier.run_copy(str(BLUEPRINT), destination, data=answers, defaults=True, unsafe=False, quiet=True)
    files = [path for path in sorted(destination.rglob("*")) if path.is_file()]
    return {path.relative_to(destination).as_posix(): path.read_text() for path in files}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    return _render(tmp_path_factory.mktemp("project"))


def _tests() -> list[str]:
    return [
        f"{path.relative_to(BLUEPRINT).as_posix()}::{node.name}"
        for folder in JUDGES
        for path in sorted((BLUEPRINT / folder).glob("test_*.py"))
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    ]


def _fits(manifest: Blueprint, parameter: str, value: str) -> bool:
    return re.fullmatch(manifest.parameters[parameter].pattern, value) is not None


def test_every_criterion_has_one_test_and_every_test_one_criterion(manifest: Blueprint) -> None:
    named = [criterion.test for criterion in manifest.criteria]

    assert sorted(filter(None, named)) == sorted(_tests())
    assert len(set(named)) == len(manifest.criteria) == len({criterion.id for criterion in manifest.criteria})


def test_a_grade_says_where_the_test_runs(manifest: Blueprint) -> None:
    folders = {"verified_io": "acceptance", "self_reported": "unit"}

    for criterion in manifest.criteria:
        assert str(criterion.test).startswith(f"{folders[criterion.grade]}/")


def test_every_phrase_maps_to_criteria_that_hold_for_any_fields_and_stands_once(manifest: Blueprint) -> None:
    always = {criterion.id for criterion in manifest.criteria if criterion.field_type is None}
    phrases = [phrase for feature in manifest.vocabulary.features for phrase in feature.phrases]

    for feature in manifest.vocabulary.features:
        assert set(feature.criteria) <= always, feature.id
    for listed in (phrases, list(manifest.vocabulary.product)):
        assert len(set(listed)) == len(listed)
        assert all(re.fullmatch(r"[a-z0-9]+([ /][a-z0-9]+)*", phrase) for phrase in listed)


def test_every_type_of_field_has_a_criterion(manifest: Blueprint) -> None:
    types = set(re.findall(r"(?<=[:?])\(\?:([a-z|]+)\)", manifest.parameters["fields"].pattern)[-1].split("|"))

    assert types == {criterion.field_type for criterion in manifest.criteria} - {None}


def test_acceptance_tests_import_the_standard_library_only() -> None:
    for path in (BLUEPRINT / "acceptance").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            modules = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            modules += [str(node.module)] if isinstance(node, ast.ImportFrom) else []
            assert {module.partition(".")[0] for module in modules} <= {*sys.stdlib_module_names, "pytest"}


def test_only_marked_places_of_the_judges_are_filled_in(manifest: Blueprint) -> None:
    for folder in JUDGES:
        for path in (BLUEPRINT / folder).glob("*.py"):
            for name in manifest.parameters:
                assert f"{{{name}}}" not in path.read_text(), path


def test_the_questions_are_the_parameters_with_the_same_patterns(manifest: Blueprint) -> None:
    config: dict[str, Any] = yaml.safe_load((BLUEPRINT / "copier.yml").read_text())
    questions = {name: body for name, body in config.items() if not name.startswith("_")}

    assert questions.keys() == manifest.parameters.keys()
    assert config.keys() - questions.keys() == {"_subdirectory", "_templates_suffix"}
    for name, parameter in manifest.parameters.items():
        assert questions[name]["default"] == parameter.default
        assert f"regex_search('^(?:{parameter.pattern})$')" in questions[name]["validator"]


@pytest.mark.parametrize(
    "fields",
    ["a:text", EVERY_TYPE, AWKWARD, "ab:text,b:text", "b:text,ab:text", ",".join(f"f{n}:url?" for n in range(20))],
)
def test_fields_of_the_right_form_are_taken(manifest: Blueprint, fields: str) -> None:
    assert _fits(manifest, "fields", fields)


@pytest.mark.parametrize(
    "fields",
    [
        *(
            "",
            "a",
            "a:",
            ":text",
            "a:float",
            "a:text??",
            "a:text,",
            ",a:text",
            "a:text,,b:text",
            "a:text b:text",
            "a: text",
        ),
        *("A:text", "_a:text", "a_:text", "a__b:text", "1a:text", "a-b:text", "a.b:text", "a:text\n", "é:text"),
        *("id:text", "a:text,created_at:datetime", "updated_at:date,a:text", "row_version:integer"),
        *("a:text,a:text", "a:text,b:url,a:integer?", "a" * 41 + ":text", ",".join(f"f{n}:url" for n in range(21))),
        *('a"b:text', "a'):text", "{{a}}:text", "{%a%}:text", "a;b:text", "a:text#", "a:text?\n,b:text"),
    ],
)
def test_other_fields_are_refused(manifest: Blueprint, fields: str) -> None:
    assert not _fits(manifest, "fields", fields)


def test_a_package_that_would_hide_a_module_or_be_a_keyword_is_refused(
    manifest: Blueprint, project: dict[str, str]
) -> None:
    pins = re.findall(r"^([a-z0-9-]+)==", project["requirements.lock"], re.M)
    locked = {name.replace("-", "_") for name in pins} - {"opentelemetry_api", "python_dotenv"}  # no modules
    taken = {*sys.stdlib_module_names, *keyword.kwlist, *locked}

    assert not [name for name in taken if _fits(manifest, "package", name)]
    assert all(_fits(manifest, "package", name) for name in ("crud_service", "bookshop", "json_api", "x1"))


@pytest.mark.parametrize(
    ("parameter", "value"),
    [
        ("plural", "docs"),
        ("plural", "sqlite_x"),
        ("plural", "a/b"),
        ("resource", "Book"),
        ("resource", 'a"""'),
        ("package", "a.b"),
    ],
)
def test_other_names_that_would_break_the_project_are_refused(
    manifest: Blueprint, tmp_path: Path, parameter: str, value: str
) -> None:
    assert not _fits(manifest, parameter, value)
    with pytest.raises(ValueError, match="Validation error"):
        _render(tmp_path / "project", **{parameter: value})


def test_attributes_avoid_every_name_that_pydantic_and_python_have() -> None:
    found = re.search(r"unusable = \((.*?)\)\.split", (BLUEPRINT / "includes" / "fields.jinja").read_text(), re.S)
    assert found
    unusable = set(" ".join(re.findall(r'"(.*?)"', found[1])).split())

    possible = {name for name in {*keyword.kwlist, *dir(BaseModel)} if re.fullmatch(r"[a-z]+(_[a-z]+)*", name)}
    assert possible <= unusable


def test_two_renders_are_equal(project: dict[str, str], tmp_path: Path) -> None:
    assert _render(tmp_path / "again") == project


def test_the_parameters_reach_every_name(tmp_path: Path) -> None:
    names = {"project_name": "shop-window", "package": "window", "resource": "shop_sign", "plural": "shop_signs"}

    project = _render(tmp_path / "project", **names, fields="motto:text")

    everything = "\n".join([*project, *project.values()])
    assert "src/window/main.py" in project
    assert 'title="shop-window"' in project["src/window/main.py"]
    assert "class ShopSignRow(Row):" in project["src/window/models.py"]
    assert '@router.get("/shop_signs/{id}"' in project["src/window/api.py"]
    for default in ("crud_service", "crud-service", "Item", '"/items'):
        assert default not in everything


@pytest.mark.parametrize("fields", ["name:text", EVERY_TYPE, AWKWARD])
def test_any_project_parses_and_has_nothing_left_unrendered(tmp_path: Path, fields: str) -> None:
    project = _render(tmp_path / "project", fields=fields)

    for path, content in project.items():
        assert not path.endswith(".jinja")
        for mark in ("{{ ", "{%", "{#"):
            assert mark not in path + content, path
        if path.endswith(".py"):
            ast.parse(content)
    tomllib.loads(project["pyproject.toml"])


def test_the_models_name_each_field_as_it_was_asked_for(tmp_path: Path) -> None:
    models = _render(tmp_path / "project", fields="class:text,price:decimal?,limit:integer")[
        "src/crud_service/models.py"
    ]

    for line in (
        'class_: Mapped[Text] = mapped_column("class")',
        'class_: Text = Field(alias="class")',
        "price: Mapped[Decimal | None]",
        "price: Decimal | None = None",
        'class_: Text | None = Field(None, alias="class")',
        "limit_: Integer | None = None",
        "min_limit: Integer | None = None",
        "(ItemRow.limit, eq, self.limit_),",
    ):
        assert f"    {line}\n" in models


def test_the_lock_pins_and_hashes_everything_the_project_declares(project: dict[str, str]) -> None:
    declared = tomllib.loads(project["pyproject.toml"])["project"]
    names = [
        re.split(r"[>=<~!\[;]", each)[0]
        for each in [*declared["dependencies"], *declared["optional-dependencies"]["dev"]]
    ]
    lock = project["requirements.lock"]
    pins = re.findall(r"^(\S+)==\S+(?: \\\n    --hash=sha256:[0-9a-f]{64})+\n", lock, re.M)

    assert set(names) <= set(pins)
    assert len(pins) == lock.count("==")
    assert "://" not in lock


def test_the_lock_shares_its_pins_with_the_other_blueprint(project: dict[str, str]) -> None:
    other = (BLUEPRINT.parent / "auth-service" / "template" / "requirements.lock").read_text()

    assert set(project["requirements.lock"].splitlines()) <= set(other.splitlines())
