"""Which work packages several builders can be given: each knows what is its own, and nobody waits for a later one."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pytest
from worksite.architect.domain.drafts import Draft, spec_from_draft
from worksite.architect.domain.packaging import package_faults

PATH = "acceptance/test_it.py"


def package(name: str, files: Sequence[str], *after: str, criteria: Sequence[str] | None = None) -> dict[str, Any]:
    given = {"id": name, "title": name, "summary": f"Make {name}.", "files": files, "after": after}
    return given | {"criteria": criteria or [f"{name}-works"]}


CART, PRICES = package("cart", ["cart.py"]), package("prices", ["prices.py", "docs/prices.md"])
TILL = package("till", ["till.py", "cart.py"], "cart", "prices")


def draft(*packages: dict[str, Any], criteria: Sequence[str] = ("cart", "prices", "till")) -> Draft:
    tested = [
        {"id": f"{name}-works", "statement": "It works.", "grade": "verified_io", "test": f"{PATH}::test_{name}"}
        for name in criteria
    ]
    own = {"id": "project-tests", "statement": "They pass.", "grade": "self_reported", "test": None}
    empty = ("decisions", "constraints", "interfaces", "files", "removed_tests", "tests")
    given: dict[str, Any] = {"type": "draft", "title": "Shop", "harness": None, **{name: [] for name in empty}}
    return Draft.model_validate(given | {"criteria": [*tested, own], "packages": packages})


def told(*packages: dict[str, Any], **options: Any) -> list[str]:
    return list(package_faults(draft(*packages, **options), may_split=True))


def test_packages_that_can_be_built_stand_in_the_spec_in_their_order():
    assert told(CART, PRICES, TILL) == []
    spec = spec_from_draft(draft(CART, PRICES, TILL), "a shop", "x", "feature")
    assert [(each.id, each.after) for each in spec.packages] == [
        ("cart", ()), ("prices", ()), ("till", ("cart", "prices")),
    ]  # fmt: skip


def test_work_in_one_piece_has_no_faults_and_packages_only_where_they_are_asked_for():
    assert told() == []
    assert list(package_faults(draft(), may_split=False)) == []
    assert list(package_faults(draft(CART, PRICES, TILL), may_split=False)) == [
        "this work is one piece for one builder: packages must be empty"
    ]


def test_a_file_may_be_changed_again_by_whatever_comes_later_by_way_of_others_too():
    till = package("till", ["till.py"], "cart", "prices")
    shop = package("shop", ["cart.py", "docs"], "till")
    assert told(CART, PRICES, till, shop, criteria=("cart", "prices", "till", "shop")) == []


def test_what_a_check_shows_may_belong_to_any_package_and_to_none():
    everyones = [each | {"criteria": [*each["criteria"], "project-tests"]} for each in (CART, PRICES)]
    assert told(*everyones, TILL) == []


SIDE = "are built at the same time and both change"


@pytest.mark.parametrize(
    ("packages", "fault"),
    [
        ([package("cart", ["cart.py"])], "2 to 8 packages, not into 1"),
        ([package(f"p{n}", [f"{n}.py"]) for n in range(9)], "not into 9"),
        ([CART, CART, PRICES, TILL], "the package cart stands there 2 times"),
        ([TILL, CART, PRICES], "till comes after cart, which is not an earlier package"),
        ([package("cart", ["cart.py"], "cart"), PRICES, TILL], "cart comes after cart, which is not an earlier"),
        ([CART, PRICES, package("till", ["till.py"], "bank")], "till comes after bank, which is not"),
        ([CART, PRICES], "criterion till-works belongs to no package"),
        ([CART, PRICES | {"criteria": ["prices-works", "cart-works"]}, TILL], "cart-works belongs to cart, prices"),
        ([CART, PRICES, TILL | {"criteria": ["till-works", "x"]}], "till names criteria that are not there: x"),
        ([CART, PRICES, TILL | {"files": []}], "package till names no file that is its own"),
        ([CART, PRICES | {"files": ["./cart.py"]}, TILL], f"cart and prices {SIDE} cart.py"),
        ([CART | {"files": ["src"]}, PRICES | {"files": ["src/a/b.py"]}, TILL], f"{SIDE} src/a/b.py"),
        ([CART, PRICES | {"files": ["src/"]}, package("till", ["src"], "cart")], f"prices and till {SIDE} src"),
    ],
)
def test_packages_that_cannot_be_built_side_by_side_are_told_one_by_one(packages: list[dict[str, Any]], fault: str):
    assert fault in "\n".join(told(*packages))


@pytest.mark.parametrize("seed", range(20))
def test_packages_that_pass_can_be_built_in_waves_without_two_on_one_file(seed: int):
    """Random plans; those without faults are run as orchestration does, every wave as wide as it can be."""
    chance = random.Random(seed)
    names = [f"p{n}" for n in range(chance.randrange(2, 7))]
    plan = [
        package(name, chance.sample("abcdefghij", 2), *chance.sample(names[:n], chance.randrange(min(n, 2) + 1)))
        for n, name in enumerate(names)
    ]
    faults = told(*plan, criteria=names)
    merged, clashes = set[str](), False
    while wave := [each for each in plan if each["id"] not in merged and merged.issuperset(each["after"])]:
        files = [file for each in wave for file in each["files"]]
        clashes |= len(files) != len(set(files))
        merged |= {each["id"] for each in wave}
    assert merged == set(names)
    assert not clashes or faults
    assert all(SIDE in fault for fault in faults)
