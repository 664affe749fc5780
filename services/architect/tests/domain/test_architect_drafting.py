"""Which drafts of a model become a Spec: only those whose criteria can be run."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter
from worksite.architect.domain.briefing import MAX_PASSAGES, briefing, example_of, passages
from worksite.architect.domain.drafting import answer_faults, draft_faults
from worksite.architect.domain.drafts import DesignAnswer, Draft, spec_from_draft
from worksite.architect.domain.outline import MAX_CHARACTERS, MAX_PATHS, is_outlined, signatures_of, tree_of
from worksite.architect.domain.templates import Template
from worksite.architect.domain.testcode import read_module
from worksite.common.llm import schema_of
from worksite.common.messages import DesignSpec, Scores, SearchResult
from worksite.common.testing import examples
from worksite.common.testing.messages_api.requests import CreateMessage
from worksite.common.testing.messages_api.schemas import check_schemas

PATH = "acceptance/test_it.py"
HARNESS = {"target": "app:app", "factory": True, "import_roots": ["src"], "env": [{"name": "A", "value": "b"}]}
TEST = "def test_greets(app, fresh):\n    assert app.get('/').text\n"


def draft(**changes: Any) -> Draft:
    given: dict[str, Any] = {
        "type": "draft", "title": "Greeting", "decisions": [], "constraints": ["stdlib"], "interfaces": [],
        "files": [], "removed_tests": [], "packages": [], "tests": [{"path": PATH, "content": TEST}],
        "criteria": criterion(), "harness": HARNESS,
    }  # fmt: skip
    return Draft.model_validate(given | changes)


def criterion(**changes: str | None) -> list[dict[str, str | None]]:
    good = {"id": "greets", "statement": "It greets.", "grade": "verified_io", "test": f"{PATH}::test_greets"}
    return [good | changes]


def files(content: str, path: str = PATH) -> list[dict[str, str]]:
    return [{"path": path, "content": content}]


def test_a_draft_whose_criteria_can_be_run_becomes_a_spec_with_what_the_model_cannot_know():
    assert list(draft_faults(draft(), may_split=False)) == []
    spec = spec_from_draft(draft(), "say hello", "model:x+architect@1", "feature")
    assert (spec.request, spec.engine, spec.blueprint) == ("say hello", "model:x+architect@1", None)
    assert spec.harness
    assert (spec.harness.target, spec.harness.env, spec.harness.import_roots) == ("app:app", {"A": "b"}, ("src",))


@pytest.mark.parametrize(("route", "removed"), [("feature", ("tests/test_old.py",)), ("review", ())])
def test_only_where_something_is_built_may_tests_go(route: Any, removed: tuple[str, ...]):
    assert spec_from_draft(draft(removed_tests=["tests/test_old.py"]), "x", "y", route).removed_tests == removed


PROJECT = ("app.py", "worksite.toml", "acceptance/test_it.py", "tests/test_old.py", "unit/test_it.py")
LOOSENING: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"removed_tests": ["tests/test_old.py::test_x"]}, ("tests/test_old.py::test_x",)),
    ({"files": [{"path": "worksite.toml", "purpose": "x"}]}, ("worksite.toml",)),
    ({"files": [{"path": "acceptance/conftest.py", "purpose": "x"}]}, ("acceptance/conftest.py",)),
    ({"tests": files(TEST)}, (PATH,)),  # in the place of the project's
    (
        {"files": [{"path": "acceptance/test_new.py", "purpose": "x"}], "tests": files(TEST, "acceptance/test_new.py")},
        (),
    ),
    ({"files": [{"path": "tests/test_old.py", "purpose": "x"}], "tests": files(TEST, "unit/test_it.py")}, ()),
]


@pytest.mark.parametrize(("changes", "loosened"), LOOSENING)
def test_what_judges_a_project_and_a_draft_lets_go_or_change_is_named(
    changes: dict[str, Any], loosened: tuple[str, ...]
):
    made = draft(**({"tests": []} | changes))

    assert spec_from_draft(made, "x", "y", "feature", PROJECT).loosens == loosened
    assert spec_from_draft(made, "x", "y", "feature").loosens == ()  # nothing is there that could be loosened
    review = spec_from_draft(made, "x", "y", "review", PROJECT)
    assert (review.loosens, review.removed_tests, review.files) == ((), (), ())


def test_a_criterion_may_rest_on_a_check_and_a_test_inside_the_candidate_is_self_reported():
    unit = "unit/test_sum.py"
    made = draft(
        harness=None,
        tests=files("import shop\n\n\ndef test_sum():\n    assert shop.total([1]) == 1\n", unit),
        criteria=[
            *criterion(grade="self_reported", test=f"{unit}::test_sum"),
            *criterion(id="project-tests", grade="self_reported", test=None),
        ],
    )
    assert list(draft_faults(made, may_split=False)) == []
    assert spec_from_draft(made, "x", "y", "feature").harness is None


def test_a_change_that_does_nothing_must_not_pass_so_one_criterion_has_a_test():
    idle = draft(harness=None, tests=[], criteria=criterion(id="lint", grade="verified_io", test=None))
    assert list(draft_faults(idle, may_split=False)) == [
        "no criterion has a test: a change that does nothing of what was asked for would pass"
    ]


IDLE = "import pytest\n\n\n@pytest.fixture\ndef word(fresh):\n    return fresh.word()\n\n\ndef test_greets(word): ...\n"
FIXTURES = "import pytest\n\n\n@pytest.fixture\ndef shop(launch):\n    return launch()\n\n\n"
VARIANTS = "@pytest.mark.parametrize('path', ['/', '/a'])\ndef test_greets(shop, path, tmp_path):\n    ...\n"


def test_fixtures_of_the_tests_own_and_parameters_are_known():
    assert list(draft_faults(draft(tests=files(FIXTURES + VARIANTS)), may_split=False)) == []


@pytest.mark.parametrize(
    "test",
    [
        "def test_greets(load, fresh):\n    assert load('greeter:greet')(fresh.word())\n",
        "def test_greets(run):\n    assert run('python', '-m', 'greeter').out\n",
        "import pytest\n\n\n@pytest.fixture\ndef greet(load):\n    return load('greeter:greet')\n\n\n"
        "@pytest.fixture\ndef politely(greet):\n    return greet\n\n\ndef test_greets(politely): ...\n",
    ],
)
def test_functions_and_command_lines_are_reached_without_a_harness(test: str):
    assert list(draft_faults(draft(tests=files(test), harness=None), may_split=False)) == []


def test_a_test_in_the_candidates_process_has_no_fixture_that_reaches_it_from_outside():
    unit = "unit/test_it.py"
    for fixture in ("app", "launch", "load", "run", "fresh"):
        given = draft(
            tests=files(f"def test_greets({fixture}): ...\n", unit),
            criteria=criterion(grade="self_reported", test=f"{unit}::test_greets"),
        )
        (told,) = draft_faults(given, may_split=False)
        assert f"asks for {fixture}, and there is no such fixture" in told


def test_a_helper_beside_the_tests_may_be_imported():
    given = [*files("from helper import x\n" + TEST), *files("x = 1\n", "acceptance/helper.py")]
    assert list(draft_faults(draft(tests=given), may_split=False)) == []


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"criteria": []}, "there is no criterion"),
        ({"criteria": criterion() * 2}, "the criterion greets stands there 2 times"),
        ({"criteria": criterion(test=None)}, "no check has its name"),
        ({"criteria": criterion(test=f"{PATH}::test_other")}, "there is no test"),
        ({"criteria": criterion(test="acceptance/test_other.py::test_greets")}, "there is no test"),
        ({"criteria": criterion(grade="self_reported")}, "shows it as verified_io, not as self_reported"),
        ({"tests": files(TEST, "unit/test_it.py")}, "there is no test"),
        ({"tests": files(TEST, "../test_it.py")}, "a test is a .py file in acceptance/ or unit/"),
        ({"tests": files(TEST, "acceptance/it_test.py")}, "is not collected: name it test_*.py"),
        ({"tests": files(TEST) * 2}, "two tests have the path"),
        ({"tests": files("def test_greets(:\n")}, "is not Python: line 1"),
        ({"tests": files("(" * 20_000)}, "is not Python"),
        ({"tests": files("x = '\0'")}, "is not Python"),
        ({"tests": files("import httpx\n" + TEST)}, "may import the standard library and pytest only, not httpx"),
        ({"tests": files("from a.b import c\n" + TEST)}, "may import the standard library and pytest only, not a"),
        ({"tests": files("async " + TEST)}, "is async"),
        ({"tests": files("def test_greets():\n    ...\n")}, "asks for none of app, launch, load, run"),
        ({"tests": files("def test_greets(fresh, tmp_path):\n    ...\n")}, "never talks to the candidate"),
        ({"tests": files(IDLE)}, "never talks to the candidate"),
        ({"tests": files("def test_greets(app, database):\n    ...\n")}, "asks for database"),
        ({"tests": files("def test_greets(load):\n    load('a.greet')()\n")}, "load takes module:name, not a.greet"),
        ({"harness": None}, "harness does not say how it is started"),
        (
            {"harness": {"target": "app.app", "factory": False, "import_roots": [], "env": []}},
            "harness.target 'app.app' is not module:attribute",
        ),
    ],
)
def test_criteria_that_cannot_be_run_are_told_one_by_one(changes: dict[str, Any], told: str):
    assert told in "\n".join(draft_faults(draft(**changes), may_split=False))


def answer(status: str, data: object) -> DesignAnswer:
    return DesignAnswer.model_validate({"action": "design", "agent": "architect", "status": status, "data": data})


def test_an_answer_whose_status_and_data_do_not_go_together_goes_back():
    question = {"type": "question", "reason": "which?", "hint": "say"}
    assert answer_faults(answer("needs_input", question), may_split=False) == ()
    assert answer_faults(answer("refused", {"type": "problem", "code": "x", "detail": "no"}), may_split=False) == ()
    assert "does not go with data of type question" in answer_faults(answer("ok", question), may_split=False)[0]
    assert (
        "does not go with data of type draft"
        in answer_faults(answer("refused", draft().model_dump()), may_split=False)[0]
    )
    assert len(answer_faults(answer("ok", draft(criteria=[]).model_dump()), may_split=False)) == 1


def test_the_form_of_the_answer_is_one_that_providers_can_enforce():
    wire = {
        "model": "claude-sonnet-5-5", "max_tokens": 1, "stream": True, "messages": [{"role": "user", "content": "x"}],
        "output_config": {"format": {"type": "json_schema", "schema": schema_of(DesignAnswer)}},
    }  # fmt: skip
    check_schemas(TypeAdapter(CreateMessage).validate_python(wire))


def test_what_surrounds_a_test_function_is_read_without_running_it():
    module = read_module(
        "import os\nraise SystemExit\n\n\nclass A:\n    def test_inner(self): ...\n\n\ndef test_x(a, *, b): ...\n"
    )
    assert set(module.functions) == {"test_x"}
    assert module.functions["test_x"].parameters == {"a", "b"}
    assert module.foreign_imports == set()


def test_a_map_shows_files_and_signatures_of_what_it_knows_and_stays_on_its_page():
    sources = [
        (
            "a.py",
            "import os\nclass Shop:\n    def total(self) -> int:\n        def inner(): ...\n\nasync def run(): ...\n",
        ),
        ("b.ts", "export function pay(x: number) {\n  const y = 1\n}\n"),
        ("c.py", "x = 1\n"),
        ("d.py", "def f(): ...\n" * 99),
    ]
    page = signatures_of(sources)
    assert page.splitlines()[:6] == [
        "a.py:", "    class Shop:", "        def total(self) -> int:", "    async def run(): ...", "b.ts:",
        "    export function pay(x: number) {",
    ]  # fmt: skip
    assert "c.py" not in page
    assert "… 59 more" in page
    assert len(signatures_of([(f"{n}.py", "def f(): ...\n" * 40) for n in range(99)])) < MAX_CHARACTERS + 200
    assert is_outlined("x/y.PY")
    assert not is_outlined("Makefile")


def test_of_too_many_files_those_near_the_root_are_shown():
    paths = ["README.md", *(f"deep/er/{n:04}.txt" for n in range(MAX_PATHS + 9))]
    page = tree_of(paths).splitlines()
    assert page[0] == "README.md"
    assert page[-1] == "… and 10 more files"


def test_the_opening_holds_request_answers_project_knowledge_and_example_in_marked_sections(keeper: Template):
    command = next(command for command in examples.commands() if isinstance(command, DesignSpec))
    given: dict[str, Any] = {"request": "a shop", "inputs": ("in euros",), "project_name": "corner"}
    given |= {"route": "feature", "may_split": False}
    project = command.project.model_copy(update={"empty": False})
    text = briefing(command.model_copy(update=given | {"project": project}), "a.py", "found", example_of(keeper))
    assert text.startswith(
        "Design for route feature, an existing project named corner.\n\n<request>\na shop\n</request>"
    )
    for part in (
        "<answer>\nin euros\n</answer>",
        "<project>\na.py\n</project>",
        "<knowledge>\nfound",
        "def test_keeps",
    ):
        assert part in text
    fresh = command.project.model_copy(update={"empty": True})
    bare = briefing(command.model_copy(update=given | {"project": fresh, "project_name": None}), "", "found", "")
    assert bare.startswith("Design for route feature, a new project.")
    assert "<project>" not in bare
    assert "<example>" not in bare


def test_passages_are_quoted_with_their_places_and_bounded():
    one = SearchResult(
        path="docs/a.md", start_line=3, end_line=9, text="x" * 9999, score=1, scores=Scores(), kind="document"
    )
    text = passages([one] * 20)
    assert text.startswith("docs/a.md:3-9\nxxx")
    assert len(text) < MAX_PASSAGES * 1600
    assert passages([]) == "nothing that fits"
