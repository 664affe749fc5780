"""Which models are used: configured, shipped, none; never silently another one."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest
from worksite.rag.backend import Backend, ModelError
from worksite.rag.backends.onnx import BACKEND as ONNX
from worksite.rag.embedder import SHIPPED as SHIPPED_EMBEDDER
from worksite.rag.loading import backend_named, from_hub, load_embedder, load_reranker
from worksite.rag.reranker import SHIPPED

MS_MARCO = "cross-encoder/ms-marco-MiniLM-L-6-v2"
REVISION = "ce0834f22110de6d9222af7a7a03628121708969"


def no_hub(name: str, backend: Backend) -> Path | None:
    return None


@pytest.fixture
def cached(hub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub's cache that holds one model, and no network beyond it."""
    model = tmp_path / "models--cross-encoder--ms-marco-MiniLM-L-6-v2"
    for folder in ("refs", "snapshots"):
        (model / folder).mkdir(parents=True)
    (model / "refs" / "main").write_text(REVISION)
    (model / "snapshots" / REVISION).symlink_to(hub_folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    return hub_folder


def test_shipped_reranker_is_used_where_nothing_is_configured() -> None:
    model, source = load_reranker(None, 1)
    assert model
    assert (model.folder, source) == (SHIPPED, "shipped")


def test_configured_folder_comes_first(hub_folder: Path) -> None:
    model, source = load_reranker(str(hub_folder), 1, fetch=no_hub)
    assert model
    assert (model.folder, source) == (hub_folder, str(hub_folder))


def test_hub_model_in_the_local_cache_is_used_without_a_network(cached: Path) -> None:
    model, source = load_reranker(MS_MARCO, 1)
    assert model
    assert (model.folder.resolve(), source) == (cached, MS_MARCO)


def test_hub_model_that_is_cached_without_what_the_backend_computes_from_is_not_taken(cached: Path) -> None:
    elsewhere = Backend("other", "", ("*.json", "*.weights"), "*.weights", ONNX.embedder, ONNX.pair_model)
    assert from_hub(MS_MARCO, elsewhere) is None


def test_hub_model_that_cannot_be_had_gives_way_to_the_shipped_one_with_a_warning(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.WARNING):
        model, source = load_reranker(MS_MARCO, 1, fetch=no_hub)
    assert model
    assert (model.folder, source) == (SHIPPED, f"shipped, {MS_MARCO} cannot be had")
    assert MS_MARCO in caplog.text


def test_nothing_configured_and_nothing_shipped_is_no_reranker(tmp_path: Path) -> None:
    assert load_reranker(None, 1, shipped=tmp_path / "gone") == (None, "none is shipped")


def test_reranking_can_be_turned_off() -> None:
    assert load_reranker("none", 1) == (None, "turned off by RAG_RERANKER")


@pytest.mark.parametrize("setting", ["/no/such/folder", "./models", "a/b/c", "nothing"])
def test_path_that_is_no_folder_is_refused_naming_the_setting(setting: str) -> None:
    with pytest.raises(ModelError, match=r"RAG_RERANKER: .* is neither a folder"):
        load_reranker(setting, 1, fetch=no_hub)
    with pytest.raises(ModelError, match=r"RAG_EMBEDDER_PATH: .* is neither a folder"):
        load_embedder(setting, 1, fetch=no_hub)


def test_configured_folder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must hold exactly one \*\.onnx file"):
        load_reranker(str(tmp_path), 1)


def test_embedder_is_the_shipped_one_where_nothing_is_configured() -> None:
    embedder = load_embedder(ONNX.default_embedder, 1, fetch=no_hub)
    assert Path(ONNX.default_embedder) == SHIPPED_EMBEDDER
    assert (embedder.backend, embedder.dimensions) == ("onnx", 384)


def test_embedder_that_cannot_be_had_is_not_replaced_by_another_one() -> None:
    with pytest.raises(ModelError, match="RAG_EMBEDDER_PATH: owner/name is neither cached nor on a hub in reach"):
        load_embedder("owner/name", 1, fetch=no_hub)


def test_backend_that_is_not_installed_is_refused_saying_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "worksite.rag.backends.sentence_transformers", raising=False)
    monkeypatch.setitem(sys.modules, "sentence_transformers", None)
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ModelError) as refused:
        backend_named("sentence-transformers")
    assert str(refused.value).startswith("RAG_BACKEND: sentence-transformers is not installed")
    assert "pip install" in str(refused.value)
    assert "services/rag[sentence-transformers]" in str(refused.value)
    assert "\n" not in str(refused.value)
