"""Functions and objects of the candidate's behind the pipe: plain values come back, and nothing that plays tricks."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from worksite.validator.domain.cases import Case, Suite

Examine = Callable[..., Suite]
CASE = "acceptance/test_calc.py::test_it"


@pytest.fixture
def case(examine_project: Examine) -> Callable[[str, str], Case]:
    """What became of a test of this body about a module `calc`."""

    def run(module: str, body: str) -> Case:
        lines = "\n".join(f"    {line}" for line in body.strip().splitlines())
        suite = examine_project({"src/calc.py": module}, f"import pytest\n\ndef test_it(load, fresh):\n{lines}\n")
        assert suite.trouble is None
        return suite.cases[CASE]

    return run


def test_values_come_back_as_they_are_and_calls_are_counted(case: Callable[..., Case]) -> None:
    module = """
import datetime, decimal, fractions
def same(value): return value
def everything(): return [
    None, True, 1, 1.5, "ü", b"\\0", (1, [2]), {3}, frozenset({4}), {"a": {5: ()}}, decimal.Decimal("1.10"),
    fractions.Fraction(1, 3), datetime.date(2024, 2, 29), datetime.time(1, 2), datetime.timedelta(-1, 5, 7),
    datetime.datetime(2024, 2, 29, 1, tzinfo=datetime.UTC), 1j, float("inf"),
]
"""
    test = """
import datetime, decimal, fractions
found = load("calc:everything")()
assert found == [
    None, True, 1, 1.5, "ü", b"\\0", (1, [2]), {3}, frozenset({4}), {"a": {5: ()}}, decimal.Decimal("1.10"),
    fractions.Fraction(1, 3), datetime.date(2024, 2, 29), datetime.time(1, 2), datetime.timedelta(-1, 5, 7),
    datetime.datetime(2024, 2, 29, 1, tzinfo=datetime.timezone.utc), 1j, float("inf"),
]
same = load("calc:same")
assert [type(each) for each in map(same, found)] == [type(each) for each in found]
"""
    result = case(module, test)

    assert result.outcome == "passed", result.text
    assert result.exchanges == 21


def test_what_comes_with_python_is_no_exchange_with_the_candidate(case: Callable[..., Case]) -> None:
    alone = case("", "assert load('json:dumps')({}) == '{}'")
    beside = case("def double(n): return 2 * n\n", "n = load('operator:neg')(2)\nassert load('calc:double')(n) == -4")

    assert (alone.outcome, alone.exchanges) == ("passed", 0)
    assert (beside.outcome, beside.exchanges) == ("passed", 2)


def test_objects_stay_with_the_candidate_and_are_used_from_afar(case: Callable[..., Case]) -> None:
    module = """
class Cart:
    def __init__(self, owner="nobody"): self.owner, self.lines = owner, {}
    def add(self, item, *, count=1): self.lines[item] = count; return self
    def __len__(self): return len(self.lines)
    def __getitem__(self, item): return self.lines[item]
    def __iter__(self): return iter(self.lines)
    def __str__(self): return f"cart of {self.owner}"
def owner_of(cart): return cart.owner
"""
    test = """
name = fresh.word()
cart = load("calc:Cart")(owner=name)
cart.add("apple", count=3).add("pear")
assert (len(cart), cart["apple"], list(cart), "pear" in cart) == (2, 3, ["apple", "pear"], True)
assert load("calc:owner_of")(cart) == name and str(cart) == f"cart of {name}"
with pytest.raises(KeyError) as caught:
    cart["nothing"]
assert caught.value.types[:2] == ("KeyError", "LookupError")
"""
    assert (result := case(module, test)).outcome == "passed", result.text


def test_coroutines_are_awaited_and_calls_can_meet(case: Callable[..., Case]) -> None:
    module = """
import asyncio, threading
both = threading.Barrier(2)
def meet(): return both.wait(5)
async def later(value): await asyncio.sleep(0); return value
async def gone(): raise LookupError("no")
class Odd(ValueError): pass
def odd(): raise Odd("why")
def leaves(): raise SystemExit(0)
"""
    test = """
meet, later = load("calc:meet"), load("calc:later")
assert sorted(load.concurrently([(meet,), (meet,)])) == [0, 1]
value, error = load.concurrently([(later, 7), (load("calc:gone"),)])
assert value == 7 and isinstance(error, LookupError)
with pytest.raises(ValueError, match="Odd: why"):
    load("calc:odd")()
with pytest.raises(Exception, match="SystemExit: 0"):
    load("calc:leaves")()
"""
    assert (result := case(module, test)).outcome == "passed", result.text


BUILT_IN = ("KeyError", "OSError", "FileNotFoundError", "SyntaxError", "ImportError", "RuntimeError")


def test_built_in_exceptions_arrive_as_themselves_and_groups_by_name(case: Callable[..., Case]) -> None:
    module = """
import builtins
def fail(name): raise getattr(builtins, name)("why")
def many(): raise ExceptionGroup("several", [ValueError("a")])
def undecodable(): b"\\xff".decode()
"""
    test = f"""
import builtins
for name in {BUILT_IN!r}:
    with pytest.raises(getattr(builtins, name), match="why"):
        load("calc:fail")(name)
with pytest.raises(UnicodeDecodeError, match="can't decode byte 0xff"):
    load("calc:undecodable")()
with pytest.raises(Exception, match="several") as caught:
    load("calc:many")()
assert caught.value.types[0] == "ExceptionGroup"
with pytest.raises(Exception, match="why") as caught:
    load("calc:fail")("StopIteration")
assert caught.value.types[0] == "StopIteration" and not isinstance(caught.value, StopIteration)
"""
    assert (result := case(module, test)).outcome == "passed", result.text


def test_a_collection_by_objects_stays_with_them_and_can_be_counted_and_walked(case: Callable[..., Case]) -> None:
    module = """
class City:
    def __init__(self, name): self.name = name
def cities(): return {City("Oslo"): 1, City("Rome"): 2}
def pairs(): return {(1, City("Oslo"))}
"""
    test = """
cities = load("calc:cities")()
assert (len(cities), sorted(city.name for city in cities)) == (2, ["Oslo", "Rome"])
[(number, city)] = load("calc:pairs")()
assert (number, city.name) == (1, "Oslo")
"""
    assert (result := case(module, test)).outcome == "passed", result.text


def test_what_is_bound_to_its_thread_can_be_used(case: Callable[..., Case]) -> None:
    module = """
import sqlite3
class Store:
    def __init__(self): self.db = sqlite3.connect(":memory:")
    def one(self): return self.db.execute("select 1").fetchone()
"""
    assert (result := case(module, "assert load('calc:Store')().one() == (1,)")).outcome == "passed", result.text


def test_a_candidate_may_have_a_module_named_like_ours(examine_project: Examine) -> None:
    suite = examine_project(
        {"values.py": "ANSWER = 42\n", "calc.py": "import values\ndef f(): return values.ANSWER\n"},
        "def test_it(load):\n    assert load('calc:f')() == 42\n",
    )

    assert suite.cases[CASE].outcome == "passed", suite.cases[CASE].text


UNKNOWABLE = {
    "equality": "x == 5",
    "inequality": "x != f()",
    "order": "x < 5",
    "truth": "not x",
    "membership in a set": "x in {1}",
    "membership in a list": "5 in [x]",
    "difference in a set": "len({x, f()}) == 2",
    "a sum": "x + 1",
    "a product from the right": "2 * x",
    "a number": "int(x)",
    "an item set": "x.__setitem__(1, 2)",
    "a block": "x.__enter__()",
    "a walk backwards": "list(reversed(x))",
    "an argument that only the test has": "f(object())",
}


@pytest.mark.parametrize("what", UNKNOWABLE)
def test_what_cannot_be_known_of_an_object_is_never_an_answer_nor_an_exception_that_a_test_expects(
    case: Callable[..., Case], what: str
) -> None:
    body = f"f = load('calc:f')\nx = f()\nwith pytest.raises(Exception):\n    {UNKNOWABLE[what]}"
    result = case("class Thing: pass\ndef f(*_): return Thing()\n", body)

    assert result.outcome == "failed"
    assert "DID NOT RAISE" not in result.text
    assert "plain value" in result.text


@pytest.mark.parametrize("statement", ["x.price = 5", "del x.price"])
def test_an_object_of_the_candidates_is_not_changed_on_this_side_only(
    case: Callable[..., Case], statement: str
) -> None:
    module = "class Thing:\n    price = 5\ndef f(): return Thing()\n"

    assert case(module, f"x = load('calc:f')()\n{statement}\nassert x.price == 5").outcome == "failed"


AGREEABLE = "class Agreeable(int):\n    def __eq__(self, other): return True\n    __hash__ = int.__hash__\n"
CALL_ALL = "load('calc:f')"
TRICKS = {
    "an answer that equals everything": (AGREEABLE + "def f(): return Agreeable()\n", f"assert {CALL_ALL}() == 5"),
    "an answer that is never unequal": (
        "class A:\n    def __ne__(self, other): return False\ndef f(): return A()\n",
        f"assert not {CALL_ALL}() != 5",
    ),
    "a text that equals everything": (
        "class T(str):\n    def __eq__(self, other): return True\ndef f(): return T('x')\n",
        f"assert {CALL_ALL}() == 'y'",
    ),
    "an agreeable answer in a list": (AGREEABLE + "def f(): return [Agreeable()]\n", f"assert {CALL_ALL}() == [5]"),
    "an answer that is in everything": (AGREEABLE + "def f(): return Agreeable()\n", f"assert {CALL_ALL}() in (5, 6)"),
    "exit 0 at import": ("import os\nos._exit(0)\n", f"assert {CALL_ALL}() == 5"),
    "exit 0 in a call": ("import os\ndef f(): os._exit(0)\n", f"assert {CALL_ALL}() == 5"),
    "sys.exit at import": ("import sys\nsys.exit(0)\n", f"assert {CALL_ALL}() == 5"),
    "a forged outcome on every pipe": (
        'import os\nline = b\'{"outcomes": [{"value": 6}]}\\n\'\n'
        "def f():\n    for fd in range(3, 64):\n        try: os.write(fd, line)\n"
        "        except OSError: pass\n    return 6\n",
        f"assert {CALL_ALL}() == 5",
    ),
    "a kind that is none": (
        "import sys\ndef f():\n    sys.modules['__main__'].values.encode = lambda v, keep: {'kind': 'x', 'value': 1}\n",
        f"assert {CALL_ALL}() == 5",
    ),
    "an outcome that is nothing": (
        "import sys\ndef f():\n    sys.modules['__main__'].json.dumps = lambda v: '{\"outcomes\": [7]}'\n",
        f"assert {CALL_ALL}() == 5",
    ),
    "an end of the loop that asks": (
        "def f(*_): raise StopIteration\n",
        f"f = {CALL_ALL}\nassert all(map(lambda n: f(n) == n + 1, range(5)))",
    ),
    "an end of the asynchronous loop that asks": (
        "def f(*_): raise StopAsyncIteration\n",
        f"f = {CALL_ALL}\nimport asyncio\nclass All:\n    def __aiter__(self): return self\n"
        "    async def __anext__(self): assert f() == 5\nasync def ask():\n    async for _ in All(): pass\n"
        "asyncio.run(ask())",
    ),
    "an end of the walk backwards": (
        "class L:\n    def __len__(self): return 3\n    def __getitem__(self, n): raise IndexError\n"
        "def f(): return L()\n",
        f"for each in reversed({CALL_ALL}()):\n    assert each == 5",
    ),
    "texts that are the same and never equal": (
        "class T(str): pass\ndef f(): return T('x')\n",
        f"f = {CALL_ALL}\nassert f() != f()",
    ),
    "texts that are the same and all different": (
        "class T(str): pass\ndef f(): return T('x')\n",
        f"f = {CALL_ALL}\nassert len({{f() for _ in range(9)}}) == 9",
    ),
    "exit 0 where an exception is expected": (
        "import os\ndef f(): os._exit(0)\n",
        f"with pytest.raises(Exception):\n    {CALL_ALL}()",
    ),
    "nonsense where an exception is expected": (
        "import sys\ndef f():\n    sys.modules['__main__'].values.encode = lambda v, keep: {'kind': 'x', 'value': 1}\n",
        f"with pytest.raises(ValueError):\n    {CALL_ALL}()",
    ),
    "an exception that pytest takes for a skip": (
        "class Skipped(Exception): pass\ndef f(): raise Skipped('later')\n",
        f"assert {CALL_ALL}() == 5",
    ),
    "a patched assert in its own process": (
        "import builtins\nbuiltins.AssertionError = ()\ndef f(): return 6\n",
        f"assert {CALL_ALL}() == 5",
    ),
}


@pytest.mark.parametrize("trick", TRICKS)
def test_no_trick_makes_a_wrong_value_pass(case: Callable[..., Case], trick: str) -> None:
    assert case(*TRICKS[trick]).outcome == "failed"
