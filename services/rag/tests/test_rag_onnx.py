"""Which files of a folder ONNX Runtime gets, in the layouts that hubs publish, and what it makes of broken ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from worksite.rag.backend import ModelError
from worksite.rag.backends.onnx import OnnxEmbedder, OnnxPairModel
from worksite.rag.embedder import SHIPPED


def test_folder_without_a_model_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"must hold exactly one \*\.onnx file, found 0"):
        OnnxEmbedder(tmp_path, threads=1)


def test_folder_without_a_tokenizer_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "model.onnx").symlink_to(next(SHIPPED.glob("*.onnx")))
    with pytest.raises(ModelError, match=r"tokenizer\.json"):
        OnnxEmbedder(tmp_path, threads=1)


@pytest.mark.parametrize("broken", ["model.onnx", "tokenizer.json"])
def test_broken_file_is_refused_by_name(tmp_path: Path, broken: str) -> None:
    for name, source in (("model.onnx", next(SHIPPED.glob("*.onnx"))), ("tokenizer.json", SHIPPED / "tokenizer.json")):
        (tmp_path / name).symlink_to(source)
    (tmp_path / broken).unlink()
    (tmp_path / broken).write_bytes(b"neither")
    with pytest.raises(ModelError, match=f"{broken} cannot be loaded"):
        OnnxEmbedder(tmp_path, threads=1)


def test_folder_of_several_models_without_a_preferred_one_is_refused(tmp_path: Path) -> None:
    for name in ("model_O1.onnx", "model_O2.onnx"):
        (tmp_path / name).touch()
    with pytest.raises(ModelError, match="found 2"):
        OnnxPairModel(tmp_path, threads=1)


def test_unquantised_file_of_a_hub_is_used_where_the_small_one_is_missing(hub_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(hub_folder, tmp_path, symlinks=True, dirs_exist_ok=True)
    (tmp_path / "onnx" / "model_quint8_avx2.onnx").rename(tmp_path / "onnx" / "model.onnx")
    assert OnnxPairModel(tmp_path, threads=1).folder == tmp_path
