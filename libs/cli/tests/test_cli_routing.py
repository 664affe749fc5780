"""worksite route: explanations printed, labelled requests measured."""

import json

import pytest
from worksite.cli.routing.evaluation import Answer, evaluation
from worksite.cli.routing.labelled import Labelled, read_labelled
from worksite.common.errors import Permanent

ROWS = [
    {"request": "fix it", "route": "fix", "difficulty": "easy", "split": "test"},
    {"request": "a cache?", "route": "feature", "difficulty": "hard", "split": "test"},
    {"request": "what is it?", "route": "question", "difficulty": "easy", "split": "test"},
    {"request": "look at it", "route": "review", "difficulty": "easy", "split": "train"},
]
SAID = {
    "fix it": ("fix", "rules", 0.98),
    "a cache?": ("question", "model", 0.5),
    "what is it?": ("question", "classifier", 0.95),
}


@pytest.fixture
def router(gateway):
    """Explains as SAID says; keeps what it was asked."""
    asked = []

    def explained(*, body, **_):
        query = json.loads(body)
        asked.append(query)
        route, stage, confidence = SAID.get(query["request"], ("review", "classifier", 0.9))
        unasked = {"stage": "model", "outcome": "would_be_asked", "reason": "a model would be asked", "latency_ms": 0.0,
                   "probabilities": {}}  # fmt: skip
        answer = {
            "route": route,
            "routing": {
                "stage": stage, "reason": "it reads like one", "confidence": confidence, "difficulty": "easy",
                "latency_ms": 4.0, "cost_usd": 0,
            },
            "stages": [
                {"stage": "rules", "outcome": "passed", "reason": "no rule fits", "latency_ms": 0.1,
                 "probabilities": {}},
                {"stage": "classifier", "outcome": "decided", "reason": "it reads like one", "latency_ms": 3.2,
                 "probabilities": {"fix": 0.1, "review": 0.9}},
                *([unasked] if stage == "model" else []),
            ],
            "asking": {"prompt_tokens": 500, "answer_tokens": 60},
        }  # fmt: skip
        return 200, {"Content-Type": "application/json"}, json.dumps(answer).encode()

    routes = gateway._routes
    gateway._routes = lambda: ((r"POST /v1/route/explain", explained), *routes())
    return asked


@pytest.fixture
def labelled(tmp_path):
    file = tmp_path / "requests.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def test_an_explanation_names_route_stage_and_what_each_stage_thought(worksite, router):
    done = worksite("route", "explain", "have a look at my branch", "--existing", "--route", "review")

    assert done.exit_code == 0, done.stderr
    assert done.stdout.splitlines() == [
        "for an existing project, as with --repo or --git-url",
        "review, easy: it reads like one",
        "decided by classifier, confidence 0.90, in 4.0 ms",
        "  rules      passed            0.10 ms  no rule fits",
        "  classifier decided           3.20 ms  it reads like one (review 0.90, fix 0.10)",
        "asking a model takes about 500 tokens of prompt and 60 of answer",
    ]
    assert router == [{"request": "have a look at my branch", "route": "review", "project": "existing"}]


def test_by_default_the_project_is_new_as_it_is_for_run_and_that_is_said(worksite, router):
    done = worksite("route", "explain", "fix it")

    assert done.stdout.startswith("for a new project, as 'worksite run' without --repo")
    assert [query["project"] for query in router] == ["new"]


def test_what_a_model_would_be_asked_about_is_no_decision_of_a_models(worksite, router):
    done = worksite("route", "explain", "a cache?")

    assert "decided by" not in done.stdout
    assert "not decided, a first guess: confidence 0.50" in done.stdout


def test_the_test_split_is_measured_as_if_there_was_a_model_and_none_is_asked(worksite, router, labelled):
    done = worksite("route", "eval", labelled)

    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:4] == [
        "3 labelled requests, split test, which no weight, rule or cue was tuned on.",
        "Decided without a model: 66.7 %; the route is right for 100.0 % of these.",
        "All of them, where there is no model to ask: the route is right for 66.7 %.",
        "Difficulty: 66.7 % right, 66.7 % at most one step off.",
    ]
    assert "| model would be asked (first guess) | 1 | 0.0 % |" in lines
    assert any(line.startswith("Cost of 1,000 requests: ") and "(67 % less)" in line for line in lines)
    assert [query["request"] for query in router] == ["fix it", "a cache?", "what is it?"]
    assert all(query["assume_model"] for query in router)


def test_a_split_that_was_trained_on_says_so(worksite, router, labelled):
    done = worksite("route", "eval", labelled, "--split", "train")

    assert "split train, which was trained on" in done.stdout


def test_a_line_that_is_no_labelled_request_is_named(worksite, gateway, labelled):
    labelled.write_text(labelled.read_text() + '{"request": "x", "route": "deploy"}\n')

    done = worksite("route", "eval", labelled)

    assert done.exit_code == 1
    assert "requests.jsonl, line 5: route" in done.stderr


def test_a_file_without_requests_of_the_split_is_refused(worksite, gateway, tmp_path):
    (tmp_path / "none.jsonl").write_text("")

    done = worksite("route", "eval", tmp_path / "none.jsonl")

    assert done.exit_code == 1
    assert "no labelled requests" in done.stderr


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(Permanent, match=r"none\.jsonl cannot be read"):
        read_labelled(tmp_path / "none.jsonl")


def answer(confidence, right):
    row = Labelled(request="x", route="fix" if right else "feature", difficulty="easy", split="test")
    return Answer(row, "fix", "classifier", confidence, "hard", 2.0, 500, 60)


def test_the_calibration_error_is_the_mean_distance_of_confidence_and_accuracy():
    sure, unsure = [answer(0.95, right) for right in (True, True, False)], [answer(0.55, True)]

    found = evaluation([*sure, *unsure])

    assert [(b.count, round(b.confidence, 2), round(b.accuracy, 2)) for b in found.bins] == [
        (1, 0.55, 1),
        (3, 0.95, 0.67),
    ]
    assert found.calibration_error == pytest.approx((1 * 0.45 + 3 * (0.95 - 2 / 3)) / 4)
    assert (found.difficulty, found.difficulty_near) == (0, 0)


def test_a_certain_answer_belongs_to_the_last_bin():
    assert [b.low for b in evaluation([answer(1.0, True)]).bins] == [0.9]
