"""Files of criteria: what they may say, and that nothing is accepted which the validator could not judge."""

import importlib

import pytest
from worksite.cli.repository.criteria import CHECKS, CriteriaError, CriteriaFile
from worksite.cli.repository.git import Git

TESTS = """
import base

def test_adds():
    pass

async def test_waits():
    pass

def helper():
    def test_inner():
        pass

if True:
    def test_sometimes():
        pass

class TestMore:
    def test_method(self):
        pass

class TestInherited(base.Tests):
    pass
"""


@pytest.fixture
def judged(tmp_path, repository):
    """Read a file of criteria, and ask a repository with tests about them; async."""
    calc = repository("calc")
    calc.write("tests/test_calc.py", TESTS)
    commit = calc.commit()

    async def judge(name, text):
        (tmp_path / name).write_text(text)
        return await CriteriaFile.read(tmp_path / name).judgeable(Git(calc.path), commit)

    return judge


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("c.yaml", "- statement: It adds.\n  test: tests/test_calc.py::test_adds\n"),
        ("c.yml", "# mine\n- {id: criterion-1, statement: It adds., test: 'tests/test_calc.py::test_adds'}\n"),
        ("c.json", '[\n\t{"statement": "It adds.", "test": "tests/test_calc.py::test_adds"}\n]'),
    ],
)
async def test_yaml_and_json_say_the_same(judged, name, text):
    (criterion,) = await judged(name, text)
    assert (criterion.id, criterion.statement) == ("criterion-1", "It adds.")
    assert (criterion.test, criterion.grade) == ("tests/test_calc.py::test_adds", "self_reported")


@pytest.mark.asyncio
@pytest.mark.parametrize("name", ["c.txt", "c.yaml", "criteria"])
async def test_a_line_is_a_statement_whose_last_word_may_be_its_test(judged, name):
    dash = "- " if name.endswith("yaml") else ""
    (criterion,) = await judged(name, f"# what I want\n\n{dash}It adds tests/test_calc.py::test_adds\n")
    assert criterion.statement == "It adds tests/test_calc.py::test_adds"
    assert criterion.test == "tests/test_calc.py::test_adds"


@pytest.mark.asyncio
@pytest.mark.parametrize("test", ["test_waits", "test_sometimes", "TestMore::test_method", "TestInherited::test_any"])
async def test_every_kind_of_test_is_found(judged, test):
    (criterion,) = await judged("c.txt", f"It works tests/test_calc.py::{test}")
    assert criterion.test == f"tests/test_calc.py::{test}"


@pytest.mark.asyncio
@pytest.mark.parametrize("check", CHECKS)
async def test_a_check_judges_by_its_name(judged, check):
    (criterion,) = await judged("c.yaml", f"- id: {check}\n  statement: Good.\n")
    assert (criterion.id, criterion.test) == (check, None)


def test_the_checks_are_those_of_the_validator():
    names = ("project_tests", "types", "lint", "secrets", "security", "forbidden")
    assert tuple(importlib.import_module(f"worksite.validator.checks.{name}").NAME for name in names) == CHECKS


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("name", "text", "line", "said"),
    [
        ("c.txt", "\nIt is fast.\n", 2, "nothing can judge this: give it a `test`"),
        ("c.yaml", "- statement: It is fast.\n", 1, "nothing can judge this"),
        ("c.yaml", "- id: speed\n  statement: It is fast.\n", 1, "nothing can judge this"),
        ("c.txt", "It adds tests/test_calc.py::test_subtracts", 1, "has no test test_subtracts"),
        ("c.txt", "It adds tests/test_calc.py::test_inner", 1, "has no test test_inner"),
        ("c.txt", "It adds tests/test_calc.py::TestMore::test_none", 1, "has no test TestMore::test_none"),
        ("c.txt", "It adds tests/test_other.py::test_adds", 1, "there is no file tests/test_other.py"),
        ("c.txt", "It adds tests::test_adds", 1, "names no test"),
        ("c.yaml", "- statement: a\n  test: tests/test_calc.py\n", 1, "names no test"),
        ("c.yaml", "- id: lint\n  statement: a\n  test: tests/test_calc.py::test_adds\n", 1, "is that of a check"),
        ("c.yaml", "- {id: lint, statement: a}\n- {id: lint, statement: b}\n", 2, "the id lint is there already"),
        ("c.yaml", "- id: lint\n  statement: a\n- id: A B\n  statement: b tests/x\n", 3, "nothing can judge"),
        ("c.yaml", "- id: Big\n  statement: a\n  test: tests/test_calc.py::test_adds\n", 1, "id: String should match"),
        ("c.yaml", f"- id: lint\n  statement: {'x' * 501}\n", 1, "statement: String should have at most 500"),
        ("c.yaml", "- id: lint\n  statement: a\n  tset: b\n", 3, "no field of a criterion: 'tset'"),
        ("c.yaml", "- id: lint\n  statement: [a]\n", 2, "statement must be text"),
        ("c.yaml", "- id: lint\n", 1, "a criterion without a `statement`"),
        ("c.yaml", "- id: lint\n  statement: a\n- [x]\n", 3, "not a criterion"),
        ("c.yaml", "criteria:\n- a\n", 1, "not a list of criteria"),
        ("c.yaml", "- id: lint\n  statement: 'a\n", 3, "found unexpected end of stream"),
        ("c.json", '[\n{"id": "lint"\n"statement": "a"}]', 3, "expected"),
    ],
)
async def test_what_is_wrong_is_said_with_its_line(judged, tmp_path, name, text, line, said):
    with pytest.raises(CriteriaError) as raised:
        await judged(name, text)
    assert str(raised.value).startswith(f"{tmp_path}/{name}:{line}: ")
    assert said in str(raised.value)


@pytest.mark.asyncio
@pytest.mark.parametrize(
    ("text", "said"),
    [("", "holds no criteria"), ("# only this\n", "holds no criteria")],
)
async def test_a_file_without_criteria_is_refused(judged, text, said):
    with pytest.raises(CriteriaError, match=said):
        await judged("c.txt", text)


@pytest.mark.asyncio
async def test_more_than_travels_with_a_task_is_refused(judged):
    line = "It adds tests/test_calc.py::test_adds\n"
    with pytest.raises(CriteriaError, match="at most 20"):
        await judged("c.txt", line * 21)


def test_a_binary_file_is_refused(tmp_path):
    (tmp_path / "c.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(CriteriaError, match="not UTF-8"):
        CriteriaFile.read(tmp_path / "c.txt")


@pytest.mark.asyncio
async def test_what_a_repository_declares_can_be_named(tmp_path, repository):
    calc = repository("declaring")
    calc.write("worksite.toml", "[acceptance]\n[checks.unit]\ncommand = ['sh', 'run.sh']\n")
    commit = calc.commit()
    file = tmp_path / "c.json"
    file.write_text('[{"statement": "a", "id": "unit"}, {"statement": "b", "id": "acceptance"}]')

    criteria = await CriteriaFile.read(file).judgeable(Git(calc.path), commit)
    assert [each.id for each in criteria] == ["unit", "acceptance"]

    file.write_text('[{"statement": "a", "id": "other"}]')
    with pytest.raises(CriteriaError, match=r"forbidden-changes, acceptance, unit\)"):
        await CriteriaFile.read(file).judgeable(Git(calc.path), commit)
