"""The shipped classifier: made by the committed tool from the committed requests, for the embedder that rag ships.

It is checked on what it may know, the train and dev splits, and on the routes that blueprints depend on. How well it
does on the test split is `worksite route eval`'s to say: a test that fails there would be tuned on.
"""

from __future__ import annotations

import importlib.util
import sys
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from worksite.admin.domain import routing
from worksite.admin.domain.classifier import Classifier
from worksite.admin.domain.cues import folded
from worksite.admin.domain.rules import by_rules
from worksite.admin.reader import shipped_classifier
from worksite.common.messages import GitProject, NewProject, SubmitTask
from worksite.common.testing.examples import submit_task
from worksite.rag.embedder import SHIPPED, Embedder, fingerprint
from worksite.rag.loading import load_embedder

ROOT = Path(__file__).parents[2]
EXISTING = GitProject(git_url="https://git.example/shop.git")


@pytest.fixture(scope="module")
def tool() -> Any:
    spec = importlib.util.spec_from_file_location("train_classifier", ROOT / "services/admin/tools/train_classifier.py")
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    sys.modules["train_classifier"] = module  # dataclasses look themselves up
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return load_embedder(str(SHIPPED), 1)


def test_the_labelled_requests_are_many_different_and_split_by_their_hash(tool: Any) -> None:
    rows = tool.read_requests()
    by_split = Counter(row.split for row in rows)

    assert len({row.request for row in rows}) == len(rows) >= 300
    assert all(by_split[split] >= 100 for split in ("train", "dev", "test"))
    for label in ("route", "difficulty"):
        assert len({(row.split, getattr(row, label)) for row in rows}) == 3 * len({getattr(row, label) for row in rows})


def test_what_is_only_fitted_on_holds_no_request_of_a_test_set(tool: Any) -> None:
    second = tool.REQUESTS.with_name("requests_second.jsonl")
    tested = [row.request for row in (*tool.read_requests(), *tool.read_rows(second)) if row.split == "test"]
    fitted_on = tool.fitted_on()

    assert len(tested) == 298
    assert not {folded(row.request) for row in fitted_on} & {folded(request) for request in tested}
    assert len({folded(row.request) for row in fitted_on}) == len(fitted_on)


def test_a_row_in_a_split_that_is_not_its_own_is_refused(tool: Any, tmp_path: Path) -> None:
    text = "Add a /version endpoint"
    wrong = next(split for split in ("train", "dev", "test") if split != tool.split_of(text))
    file = tmp_path / "requests.jsonl"
    file.write_text(f'{{"request": "{text}", "route": "feature", "difficulty": "easy", "split": "{wrong}"}}\n')

    with pytest.raises(ValueError, match="belongs to the split"):
        tool.read_requests(file)


@pytest.mark.timeout(400)
def test_training_again_decides_the_same(tool: Any, embedder: Embedder) -> None:
    """Not to the last bit: sums may differ between processors. Routes and their probabilities may not."""
    rows = tool.fitted_on()
    again = Classifier.model_validate(tool.train(rows, embedder))
    shipped = shipped_classifier()

    assert (again.embedder, again.trained_on) == (shipped.embedder, shipped.trained_on)
    assert again.phrases == shipped.phrases
    for label, weights in shipped.routes.items():
        assert again.routes[label] == pytest.approx(weights, abs=0.01)
    for label, weights in shipped.difficulties.items():
        assert again.difficulties[label] == pytest.approx(weights, abs=0.01)


def test_it_was_trained_for_the_embedder_that_rag_ships(embedder: Embedder) -> None:
    shipped = shipped_classifier()

    assert shipped.embedder == fingerprint(embedder)
    assert shipped.dimensions == embedder.dimensions


def test_what_asks_to_build_one_of_the_blueprints_is_built(embedder: Embedder) -> None:
    """These requests were collected for the blueprints, by others, before there was a classifier."""
    shipped, wrong = shipped_classifier(), list[str]()
    for request in wordings():
        task = submit_task(request=request, project=NewProject())
        vector = embedder.embed_query(" ".join(request.split()))
        decided = by_rules(task) or routing.guess(shipped.read(request, vector))
        if decided.route != "feature":
            wrong.append(f"{decided.route}: {request}")

    assert wrong == []


def wordings() -> list[str]:
    """Of blueprints and everyday words."""
    files = [file for file in sorted((ROOT / "tests/wordings").glob("*.toml")) if file.stem not in NOT_BUILT]
    return [one["request"] for file in files for one in tomllib.loads(file.read_text())["wordings"]]


NOT_BUILT = {"hostile", "unfitting"}
"""What no blueprint serves; some of it is no wish to build."""


def test_rules_are_hardly_ever_wrong_on_what_they_were_written_with(tool: Any) -> None:
    rows = tool.fitted_on()
    decided = [(row, found) for row in rows if (found := by_rules(of(row.request)))]

    assert len(decided) > 60
    assert [row.request for row, found in decided if found.route != row.route] == []


def of(request: str) -> SubmitTask:
    return submit_task(request=request, project=EXISTING)
