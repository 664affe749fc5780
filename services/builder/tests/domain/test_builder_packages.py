"""What git says of a merge, names that fold into one, and what a builder is told of its work package."""

from __future__ import annotations

import pytest
from worksite.builder.domain.briefing import briefing
from worksite.builder.domain.merges import TriedMerge, clashes, parse_merge
from worksite.builder.domain.packages import in_order, package_named
from worksite.builder.testing import a_spec
from worksite.common.errors import StepRefused
from worksite.common.messages import BuildChange, PackageWork, WorkPackage
from worksite.common.testing import examples

COMMAND = next(command for command in examples.commands() if isinstance(command, BuildChange))
TREE = "5f11345618ad5ad1613e665b2c5a563139b999a4"


def package(name: str, *after: str) -> WorkPackage:
    return WorkPackage(
        id=name, title=f"The {name}", summary=f"Make the {name}.", criteria=("greets",), files=(f"{name}.py",),
        after=after,
    )  # fmt: skip


SPEC = a_spec(None).model_copy(
    update={"packages": (package("cart"), package("prices"), package("till", "cart"), package("shop", "till"))}
)


def test_a_clean_merge_is_read_and_so_is_one_that_contradicts_without_a_file() -> None:
    assert parse_merge(f"1\0{TREE}\0\0".encode()) == TriedMerge(TREE, clean=True)
    assert parse_merge(f"0\0{TREE}\0b\0a\n\xff\0a\0\0".encode("latin-1")) == TriedMerge(
        TREE, clean=False, files=("a", "a\n\\xff", "b")
    )
    assert parse_merge(f"0\0{TREE}\0\0".encode()) == TriedMerge(TREE, clean=False)


def test_names_that_git_adds_to_in_a_conflict_are_told_as_they_were() -> None:
    assert parse_merge(f"0\0{TREE}\0lib~{'a' * 40}\0lib\0x~{'b' * 40}_0\0y~1\0\0".encode()).files == ("lib", "x", "y~1")


@pytest.mark.parametrize(
    ("one", "other", "clash"),
    [
        (["a.py", "b.py"], ["c.py"], []),
        (["same.py"], ["same.py"], []),
        (["Read.me"], ["read.me"], ["Read.me"]),
        (["ma\u00df.py"], ["MASS.py"], ["ma\u00df.py"]),
        (["cafe\u0301.py"], ["caf\u00e9.py"], ["cafe\u0301.py"]),
        (["Lib/a.py", "x.py"], ["lib/b.py"], ["Lib/a.py"]),
        (["lib"], ["LIB/b.py"], ["lib"]),
        (["a/Lib.py"], ["b/lib.py"], []),
    ],
)
def test_new_names_that_some_file_system_takes_for_one_are_found(
    one: list[str], other: list[str], clash: list[str]
) -> None:
    assert list(clashes(one, other)) == clash


def test_packages_are_merged_in_the_order_of_the_spec_and_unknown_ones_are_refused() -> None:
    assert COMMAND.previous
    works = [PackageWork(package=name, changeset=COMMAND.previous) for name in ("shop", "cart", "prices")]
    assert [package.id for package, _ in in_order(SPEC, works)] == ["cart", "prices", "shop"]
    with pytest.raises(StepRefused, match="no work package 'car': it has cart, prices, till, shop") as refused:
        package_named(SPEC, "car")
    assert refused.value.code == "unknown_package"
    with pytest.raises(StepRefused, match="it has none"):
        package_named(a_spec(None), "cart")


def test_a_builder_of_a_package_is_told_what_is_its_own_what_is_there_and_what_others_build() -> None:
    existing = COMMAND.project.model_copy(update={"empty": False})
    command = COMMAND.model_copy(update={"package": "till", "previous": None, "project": existing})
    text = briefing(SPEC, command, [], None)

    assert text.startswith("Build work package till, an existing project.")
    told = text[text.index("<package>") : text.index("</package>")]
    assert told.splitlines()[1:] == [
        "till, The till: Make the till.",
        "- yours are the criteria: greets",
        "- yours are the files: till.py",
        "- it builds on cart, which is there already",
        "- not yours, somebody else's: prices, The prices (prices.py)",
        "- not yours, somebody else's: shop, The shop (shop.py)",
    ]
    again = briefing(SPEC, command.model_copy(update={"previous": COMMAND.previous}), [], None)
    assert again.startswith("Build work package till on what is merged so far, an existing project.")
    assert "<package>" not in briefing(SPEC, COMMAND.model_copy(update={"package": None}), [], None)


def test_a_builder_of_a_package_that_conflicted_is_told_in_which_files() -> None:
    anew = COMMAND.model_copy(update={"package": "till", "conflicts": ("till.py", "a</conflicts><package>.py")})
    text = briefing(SPEC, anew, [], None)

    assert "<conflicts>\ntill.py\na&lt;/conflicts>&lt;package>.py\n</conflicts>" in text
    assert "<conflicts>" not in briefing(SPEC, COMMAND.model_copy(update={"package": "till"}), [], None)
