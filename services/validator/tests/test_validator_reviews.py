"""Reviews of small repositories, as people have them: sound changes pass, each planted fault is found.

Every case is a repository at its base (empty: there is none, everything is charged) and what its head changes
(None: the file is removed). The only criterion is that the project's own tests pass, as on a review without a model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
from worksite.common.messages import Criterion, Spec

pytestmark = pytest.mark.proof

OWN_TESTS = Criterion(id="project-tests", statement="The project's own tests pass.", grade="self_reported")
Files = dict[str, str | None]


@dataclass(frozen=True)
class Case:
    name: str
    base: Files
    head: Files = field(default_factory=dict[str, str | None])
    charged: str = ""
    """A word of the check or criterion that must say why; empty: the verdict is PASS."""


CART = """\
class Cart:
    def __init__(self):
        self.lines = {}

    def add(self, item, price, count=1):
        if count < 1:
            raise ValueError("count must be positive")
        self.lines[item] = (price, self.lines.get(item, (price, 0))[1] + count)

    def total(self):
        return sum(price * count for price, count in self.lines.values())
"""
TEST_CART = """\
import pytest
from cart import Cart


def test_total_counts_every_item():
    cart = Cart()
    cart.add("apple", 3, 2)
    cart.add("pear", 5)
    assert cart.total() == 11


def test_adding_twice_adds_up():
    cart = Cart()
    cart.add("apple", 3)
    cart.add("apple", 3)
    assert cart.total() == 6


def test_nothing_cannot_be_added():
    with pytest.raises(ValueError):
        Cart().add("apple", 3, 0)
"""
SHOP: Files = {"cart.py": CART, "tests/test_cart.py": TEST_CART}

SLUGS = """\
import re
import unicodedata


def slug(title: str) -> str:
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
"""
TEST_SLUGS = """\
import unittest

from slugs import slug


class Slugs(unittest.TestCase):
    def test_words_are_joined(self):
        self.assertEqual(slug("Hello, World!"), "hello-world")

    def test_accents_go(self):
        self.assertEqual(slug("Crème Brûlée"), "creme-brulee")
"""
SITE: Files = {
    "pyproject.toml": '[project]\nname = "slugs"\nversion = "1.0"\n',
    "src/slugs/__init__.py": SLUGS,
    "tests/test_slugs.py": TEST_SLUGS,
}

QUEUE = """\
import heapq
from dataclasses import dataclass, field


@dataclass(order=True)
class Job:
    priority: int
    name: str = field(compare=False)


class Queue:
    def __init__(self):
        self._jobs = []

    def put(self, job):
        heapq.heappush(self._jobs, job)

    def get(self):
        return heapq.heappop(self._jobs)
"""
TEST_QUEUE = """\
import pytest
from jobs.queue import Job, Queue


@pytest.fixture
def queue():
    return Queue()


@pytest.mark.parametrize("order", [[3, 1, 2], [1, 2, 3], [3, 2, 1]])
def test_the_smallest_priority_comes_first(queue, order):
    for priority in order:
        queue.put(Job(priority, str(priority)))
    assert [queue.get().priority for _ in order] == [1, 2, 3]
"""
JOBS: Files = {"jobs/__init__.py": "", "jobs/queue.py": QUEUE, "tests/test_queue.py": TEST_QUEUE}

DISCOUNT = (
    CART
    + """
    def discounted(self, percent):
        if not 0 <= percent <= 100:
            raise ValueError("percent must be between 0 and 100")
        return self.total() * (100 - percent) / 100
"""
)
TEST_DISCOUNT = (
    TEST_CART
    + """

def test_a_discount_is_taken_off_the_total():
    cart = Cart()
    cart.add("apple", 50, 2)
    assert cart.discounted(25) == 75
"""
)
FEATURE: Files = {"cart.py": DISCOUNT, "tests/test_cart.py": TEST_DISCOUNT}
RED = TEST_CART + "\n\ndef test_known_to_be_red():\n    assert Cart().total() == 1\n"
TEST_EMPTY = "from cart import Cart\n\n\ndef test_empty():\n    assert Cart().total() == 0\n"
BROKEN_CART = CART.replace("price * count for", "price for")
BROKEN: Files = {"cart.py": BROKEN_CART}
TEST_WINDOWS = """\
import sys

import pytest


@pytest.mark.skipif(sys.platform != "win32", reason="Windows")
def test_paths():
    assert False
"""
TEST_HELLO = """\
import subprocess
import sys


def test_hello():
    done = subprocess.run([sys.executable, "hello.py", "ada"], capture_output=True, text=True, check=True)
    assert done.stdout == "hello ada\\n"
"""
HELLO = "import sys\n\nprint(f'hello {sys.argv[1]}')\n"
TEST_JOBS = "from jobs.queue import Job\n\n\ndef test_equal():\n    assert Job(1, 'a') == Job(1, 'b')\n"

SOUND = [
    Case("a new feature with its test", SHOP, FEATURE),
    Case("a whole repository without a base", {}, SHOP),
    Case("a rewrite of the inside", SHOP, {"cart.py": CART.replace("price * count for", "count * price for")}),
    Case("a source layout with unittest", SITE, {"README.md": "# slugs\n"}),
    Case("a package with fixtures and parameters", {}, JOBS),
    Case("a test that was red before and still is", SHOP | {"tests/test_cart.py": RED}, {"cart.py": DISCOUNT}),
    Case("a bug that is mended with a test for it", BROKEN | {"tests/test_empty.py": TEST_EMPTY}, SHOP),
    Case("more tests only", JOBS, {"tests/test_more.py": TEST_JOBS}),
    Case("documents and data", SITE, {"docs/use.md": "# Use\n", "data/words.csv": "a,b\n1,2\n", "LICENSE": "Free.\n"}),
    Case("imports that were unused before", SHOP | {"old.py": "import os\n"}, FEATURE),
    Case("a skipped test for another platform", {}, SHOP | {"tests/test_windows.py": TEST_WINDOWS}),
    Case("a command line with a subprocess test", {}, {"hello.py": HELLO, "tests/test_hello.py": TEST_HELLO}),
]

WEAKENED = TEST_CART.replace("== 11", "> 0").replace("== 6", "> 0")
SHORTENED = TEST_CART[: TEST_CART.index("def test_total")] + TEST_CART[TEST_CART.index("def test_nothing") :]
SKIPPED = TEST_CART.replace("def test_total", "@pytest.mark.skip\ndef test_total")
EXPECTED = TEST_CART.replace("def test_", "@pytest.mark.xfail\ndef test_")
DESELECTED = "[pytest]\naddopts = -k nothing\n"
ALL_GREEN = """\
import pytest


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    outcome.get_result().outcome = "passed"
"""
NEVER_EQUAL = """\
class Total(int):
    def __eq__(self, other):
        return False


class Cart:
    def add(self, *_):
        pass

    def total(self):
        return Total()
"""
EXITS = "import os\n\nos._exit(0)\n"
SHELL = "import subprocess\n\n\ndef run(name):\n    subprocess.call('ls ' + name, shell=True)\n"
KEY = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\n-----END RSA PRIVATE KEY-----\n"
UNDEFINED = CART + "\n\ndef refund(cart):\n    return totl(cart)\n"
NO_COLON = CART.replace("def total(self):", "def total(self)")
LAST_FIRST = QUEUE.replace("heapq.heappop(self._jobs)", "self._jobs.pop()")
RENAMED: Files = {"src/slugs/__init__.py": SLUGS.replace("def slug(", "def slugify(")}
MOVED: Files = {
    "cart.py": None,
    "shop/__init__.py": "",
    "shop/cart.py": CART,
    "tests/test_cart.py": TEST_CART.replace("from cart", "from shop.cart"),
}

FAULTY = [
    Case("a wrong result", {}, SHOP | BROKEN, "project-tests"),
    Case("a regression", SHOP, BROKEN, "project-tests"),
    Case("a regression behind a weakened test", SHOP, BROKEN | {"tests/test_cart.py": WEAKENED}, "project-tests"),
    Case("a regression behind a removed test", SHOP, BROKEN | {"tests/test_cart.py": SHORTENED}, "project-tests"),
    Case("a test that is skipped now", SHOP, {"tests/test_cart.py": SKIPPED}, "project-tests"),
    Case("tests that are expected to fail now", SHOP, BROKEN | {"tests/test_cart.py": EXPECTED}, "project-tests"),
    Case("tests that are deselected", SHOP, BROKEN | {"pytest.ini": DESELECTED}, "project-tests"),
    Case("a process that ends itself with success", {}, SHOP | {"cart.py": EXITS}, "project-tests"),
    Case("a conftest that turns all green", SHOP, BROKEN | {"conftest.py": ALL_GREEN}, "project-tests"),
    Case("a result that equals nothing", SHOP, {"cart.py": NEVER_EQUAL}, "project-tests"),
    Case("a syntax error", SHOP, {"cart.py": NO_COLON}, "project-tests"),
    Case("an import of what is not installed", SHOP, {"cart.py": "import nowhere\n" + CART}, "project-tests"),
    Case("no tests at all", {}, {"cart.py": CART}, "project-tests"),
    Case("only skipped tests", {}, {"cart.py": CART, "tests/test_windows.py": TEST_WINDOWS}, "project-tests"),
    Case("a shell injection", SHOP, {"run.py": SHELL}, "security"),
    Case("a private key", SHOP, {"deploy.key": KEY}, "secret"),
    Case("an undefined name", SHOP, {"cart.py": UNDEFINED}, "lint"),
    Case("a priority that is ignored", JOBS, {"jobs/queue.py": LAST_FIRST}, "project-tests"),
    Case("a function gone from under its callers", SITE, RENAMED, "project-tests"),
    Case("a module gone from under its callers", SHOP, MOVED, "project-tests"),
]


def committed(project: Any, case: Case) -> tuple[str, str | None]:
    """Head and base of the case as commits."""
    base = project.commit(case.base) if case.base else None
    after = case.base | case.head
    head = project.commit({name: text for name, text in after.items() if text is not None})
    return head, base


def review(judge: Callable[..., Any], project: Any, case: Case, *criteria: Criterion) -> Any:
    spec = Spec(title="Review", request="Is it right?", engine="rules", criteria=criteria or (OWN_TESTS,))
    return judge(spec, *committed(project, case))


@pytest.mark.parametrize("case", SOUND, ids=lambda case: case.name)
def test_a_sound_change_passes(judge: Callable[..., Any], project: Any, case: Case) -> None:
    judged = review(judge, project, case)

    assert judged.report.verdict == "PASS", judged.document


@pytest.mark.parametrize("case", FAULTY, ids=lambda case: case.name)
def test_a_planted_fault_is_found_and_charged_to_what_shows_it(
    judge: Callable[..., Any], project: Any, case: Case
) -> None:
    judged = review(judge, project, case)

    assert judged.report.verdict == "FAIL", judged.document
    failed = [check.name for check in judged.report.checks if check.verdict == "fail"]
    assert any(case.charged in name for name in failed), failed


NAMED = Criterion(
    id="totals", statement="Totals count every item.", grade="self_reported",
    test="tests/test_cart.py::test_total_counts_every_item",
)  # fmt: skip


@pytest.mark.parametrize(
    ("head", "verdict", "said"),
    [
        ({}, "pass", "passed"),
        ({"cart.py": BROKEN_CART}, "fail", "test_total_counts_every_item failed"),
        ({"tests/test_cart.py": TEST_CART.replace("test_total_counts", "test_sum_counts")}, "fail", "no such test"),
    ],
)
def test_a_clients_criterion_is_judged_by_the_projects_test_that_it_names(
    judge: Callable[..., Any], project: Any, head: Files, verdict: str, said: str
) -> None:
    judged = review(judge, project, Case("named", {}, SHOP | head), NAMED)

    assert judged.criterion("totals").verdict == verdict
    assert said in judged.criterion("totals").evidence
    assert (judged.report.verdict == "PASS") == (verdict == "pass")
