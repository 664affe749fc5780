"""Which reranker is used: configured, shipped, none; never silently another one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from worksite.rag.inference import ModelError
from worksite.rag.loading import from_hub, load_reranker
from worksite.rag.reranker import SHIPPED

MS_MARCO = "cross-encoder/ms-marco-MiniLM-L-6-v2"


def no_hub(name: str) -> Path | None:
    return None


def test_shipped_model_is_used_where_nothing_is_configured() -> None:
    model, source = load_reranker(None, 1)
    assert model
    assert (model.folder, source) == (SHIPPED, "shipped")


def test_configured_folder_comes_first(hub_folder: Path) -> None:
    model, source = load_reranker(str(hub_folder), 1, fetch=no_hub)
    assert model
    assert (model.folder, source) == (hub_folder, str(hub_folder))


def test_hub_model_in_the_local_cache_is_used_without_a_network(
    hub_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    revision = "ce0834f22110de6d9222af7a7a03628121708969"
    cached = tmp_path / "cache" / "models--cross-encoder--ms-marco-MiniLM-L-6-v2"
    (cached / "refs").mkdir(parents=True)
    (cached / "refs" / "main").write_text(revision)
    (cached / "snapshots").mkdir()
    (cached / "snapshots" / revision).symlink_to(hub_folder)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "cache"))
    found = from_hub(MS_MARCO)
    assert found
    assert found.resolve() == hub_folder.resolve()


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


def test_configured_folder_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must hold exactly one \*\.onnx file"):
        load_reranker(str(tmp_path), 1)
