"""The pure half of the cascade: what each stage makes of a request."""

from __future__ import annotations

import time
from typing import Any

import pytest
from pydantic import ValidationError
from worksite.admin.domain import cues, phrases, routing
from worksite.admin.domain.classifier import Classifier, Reading
from worksite.admin.domain.commands import command
from worksite.admin.domain.decide import open_task
from worksite.admin.domain.events import Event
from worksite.admin.domain.expected_cost import choice
from worksite.admin.domain.rules import by_rules
from worksite.admin.domain.tiers import tier_of
from worksite.common.messages import Action, Difficulty, RouteDecision, Tier

NOTHING = (0.0,) * len(cues.NAMES)


def classifier(**changes: Any) -> Classifier:
    """Of two dimensions: the first speaks for a review, the second for a question; a feature it is else."""
    document = {
        "embedder": "e1",
        "dimensions": 2,
        "cues": cues.NAMES,
        "phrases": (),
        "trained_on": "",
        "routes": {
            "feature": (0, 0, *NOTHING, 1),
            "review": (9, 0, *NOTHING, 0),
            "question": (0, 9, *NOTHING, 0),
        },
        "difficulties": {"easy": (9, 0, *NOTHING, 0), "medium": (0, 0, *NOTHING, 1), "hard": (0, 9, *NOTHING, 0)},
    }
    return Classifier.model_validate(document | changes)


def reading(**routes: float) -> Reading:
    return Reading(routes, "hard")  # pyright: ignore[reportArgumentType]


def test_a_route_that_the_client_names_is_taken(samples: Any) -> None:
    decision = routing.explicit(samples.submission(route="review", request="Create auth system"))

    assert decision
    assert (decision.route, decision.stage, decision.confidence) == ("review", "explicit", 1.0)
    assert routing.explicit(samples.submission()) is None


def test_the_classifier_reads_vector_and_wording_together() -> None:
    by_vector = classifier().read("x", (0.1, 0.9))
    asks = cues.NAMES.index("asks_at_end")
    speaks_for_questions = tuple(20.0 if i == asks else 0.0 for i in range(len(cues.NAMES)))
    weighed = classifier(routes={"feature": (0, 0, *NOTHING, 1), "question": (0, 0, *speaks_for_questions, 0)})

    assert max(by_vector.routes, key=lambda r: by_vector.routes[r]) == "question"
    assert sum(by_vector.routes.values()) == pytest.approx(1)
    assert by_vector.difficulty == "hard"
    assert weighed.read("is it so?", (0, 0)).routes["question"] > 0.99
    assert weighed.read("it is so", (0, 0)).routes["question"] < 0.5


def test_a_phrase_that_it_knows_speaks_for_a_route_and_one_that_it_does_not_know_for_none() -> None:
    none = (0, 0, *NOTHING, 0)
    knows = classifier(
        phrases=("< who", "a cat"),
        routes={"feature": (*none, 0, 0), "question": (*none, 9, 0)},
        difficulties={"easy": (*none, 0, 0)},
    )

    assert knows.read("Who came, a dog", (0, 0)).routes["question"] > 0.99
    assert knows.read("A cat, who came", (0, 0)).routes["question"] == pytest.approx(0.5)


def test_phrases_are_words_pairs_and_the_beginning_with_any_number_for_every_number() -> None:
    assert phrases.found("Add 12") == {"add", "0", "< add", "add 0", "0 >", "< add 0 >"}
    assert "< add 99 more" not in phrases.found("Add 99 more")
    assert "< add 0 more" in phrases.found("add 7  MORE things")


def test_weights_of_other_cues_or_dimensions_are_refused() -> None:
    with pytest.raises(ValidationError, match="train it again"):
        classifier(cues=("asks", *cues.NAMES[1:]))
    with pytest.raises(ValidationError, match="every label needs"):
        classifier(dimensions=3)


def test_the_classifier_decides_where_its_mistakes_are_cheaper_than_asking() -> None:
    sure, unsure = reading(feature=0.03, question=0.97), reading(feature=0.4, question=0.6)
    alike = reading(feature=0.7, fix=0.3)

    assert routing.by_classifier(sure, asking_usd=0.001)
    assert routing.by_classifier(unsure, asking_usd=0.001) is None
    assert routing.by_classifier(alike, asking_usd=0.001), "feature and fix take the same steps"
    assert routing.by_classifier(unsure, asking_usd=1.0), "nobody pays a dollar to be sure"


def test_where_nobody_can_be_asked_the_route_of_the_least_expected_loss_is_taken() -> None:
    decision = routing.by_classifier(reading(feature=0.4, question=0.6), asking_usd=None)

    assert decision
    assert (decision.route, decision.stage, decision.confidence) == ("question", "classifier", 0.6)
    assert decision.difficulty == "hard"


def test_the_least_expected_loss_is_not_always_the_most_probable_route() -> None:
    best = choice({"question": 0.36, "feature": 0.32, "fix": 0.32})

    assert best.route in {"feature", "fix"}
    assert best.confidence == 0.32


def test_nobody_knowing_better_makes_it_a_feature() -> None:
    assert (routing.default().route, routing.default().stage) == ("feature", "default")


@pytest.mark.parametrize(
    ("difficulty", "action", "tier"),
    [
        ("easy", "build", "small"),
        ("medium", "design", "medium"),
        ("hard", "build", "large"),
        ("hard", "validate", "medium"),
        ("medium", "answer", "small"),
        (None, "build", "medium"),
        ("hard", "import", None),
        ("hard", "deliver", None),
    ],
)
def test_the_harder_the_request_the_larger_the_model(
    difficulty: Difficulty | None, action: Action, tier: Tier | None
) -> None:
    assert tier_of(decided(difficulty), action) == tier


def test_each_command_carries_the_tier_of_its_step(samples: Any) -> None:
    submission = samples.submission()
    opened = open_task(Event("e0", samples.t0, submission), submission, decided("hard")).after
    imported = opened.model_copy(update={"imported": samples.imported()})

    assert opened.commands[0].tier is None
    assert command(imported, "design").commands[0].tier == "large"


def decided(difficulty: Difficulty | None) -> RouteDecision:
    return RouteDecision(route="feature", stage="default", reason="", confidence=0, latency_ms=0, difficulty=difficulty)


@pytest.mark.parametrize(
    "text",
    [
        "the list that returns is broken into and design " * 240,
        "a" * 12_000,
        "review the " * 1_000,
        ". write a " + "x " * 5_000,
        "a/" * 6_000,
        "make it, " * 1_300,
        "at a." * 2_400,
    ],
    ids=lambda text: text[:12],
)
def test_no_request_however_long_keeps_rules_and_cues_busy(samples: Any, text: str) -> None:
    """A bound with much room: what backtracks without end takes minutes."""
    task = samples.submission(request=text)
    spent = []
    for _ in range(3):
        started = time.process_time()
        by_rules(task)
        cues.found(text)
        spent.append(time.process_time() - started)

    assert min(spent) < 0.25
