"""What a project declares in `worksite.toml`."""

from __future__ import annotations

import pytest
from worksite.common.messages import CheckCommand, Harness, Spec, TestFile
from worksite.validator.domain.declaration import CHECKS, Declaration, InvalidDeclaration, read_declaration

SPEC = Spec(title="t", request="r", engine="e", criteria=())
UNIT = CheckCommand(name="unit", command=("sh", "tests/run.sh"), seconds=60, tests=("tests", "Makefile"))
WHOLE = """
[acceptance]
target = "shop.main:app"
env = { SECRET = "{random}" }

[checks.unit]
command = ["sh", "tests/run.sh"]
seconds = 60
tests = ["tests", "Makefile"]
"""


def test_everything_is_read() -> None:
    files = {"worksite.toml": WHOLE, "acceptance/test_a.py": "a", "acceptance/data.txt": "x", "tests/test_b.py": "b"}

    assert read_declaration({name: text for name, text in files.items() if name.endswith((".toml", "a.py"))}) == (
        Declaration(
            accepts=True,
            tests=(TestFile(path="acceptance/test_a.py", content="a"),),
            harness=Harness(target="shop.main:app", env={"SECRET": "{random}"}),
            commands=(UNIT,),
        )
    )


def test_a_project_without_the_file_declares_nothing() -> None:
    assert read_declaration({"acceptance/test_a.py": "a"}) == Declaration()


def test_functions_and_command_lines_need_no_harness() -> None:
    assert read_declaration({"worksite.toml": "[acceptance]\n"}) == Declaration(accepts=True)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[checks.unit]\n", "checks.unit.command"),
        ("[checks.unit]\ncommand = []\n", "checks.unit.command"),
        ("[checks.unit]\ncommand = 'sh run.sh'\n", "checks.unit.command"),
        ("[checks.unit]\ncommand = ['sh']\nseconds = 9999\n", "checks.unit.seconds"),
        ("[checks.'Not a name']\ncommand = ['sh']\n", "name"),
        ("[acceptence]\n", "acceptence"),
        ("not toml", "worksite.toml"),
        *((f"[checks.{name}]\ncommand = ['true']\n", f"checks.{name} has the name") for name in CHECKS),
    ],
)
def test_what_cannot_be_meant_is_refused_by_name(text: str, said: str) -> None:
    with pytest.raises(InvalidDeclaration, match=r"worksite\.toml") as refused:
        read_declaration({"worksite.toml": text})

    assert said in str(refused.value)


def test_where_both_speak_of_the_same_thing_the_spec_counts() -> None:
    mine = TestFile(path="acceptance/test_a.py", content="mine")
    theirs = Declaration(
        accepts=True,
        tests=(TestFile(path="acceptance/test_a.py", content="x"), TestFile(path="acceptance/test_b.py", content="b")),
        harness=Harness(target="theirs:app"),
        commands=(UNIT, UNIT.model_copy(update={"name": "more"})),
    )
    spec = SPEC.model_copy(update={"tests": (mine,), "commands": (UNIT.model_copy(update={"seconds": 1}),)})

    found = theirs.apart_from(spec)

    assert found.tests == theirs.tests[1:]
    assert [command.name for command in found.commands] == ["more"]


def test_helpers_of_the_project_stay_beside_its_own_modules_whatever_the_spec_has() -> None:
    helper = TestFile(path="acceptance/conftest.py", content="theirs")
    spec = SPEC.model_copy(update={"tests": (helper.model_copy(update={"content": "mine"}),)})

    assert Declaration(accepts=True, tests=(helper,)).apart_from(spec).tests == (helper,)


def test_a_test_that_the_spec_lets_go_is_left_out() -> None:
    declared = Declaration(accepts=True, tests=(TestFile(path="acceptance/test_a.py", content="a"),))

    assert declared.apart_from(SPEC.model_copy(update={"removed_tests": ("acceptance/test_a.py",)})).tests == ()


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("# " + "x" * (64 << 10), "more than 64 KiB"),
        (".".join("a" * 30_000) + " = 1", "more than 200 dots"),
        ("seconds = " + "1" * 5000, "4300 digits"),
        ("a = " + "[" * 5000 + "]" * 5000, "nested too deeply"),
    ],
)
def test_what_is_too_much_to_read_is_invalid(text: str, said: str) -> None:
    with pytest.raises(InvalidDeclaration, match=said):
        read_declaration({"worksite.toml": text})
