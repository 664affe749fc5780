"""Models by ONNX Runtime, the default: on the processor, from small quantised files."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from tokenizers import Tokenizer
from worksite.rag.backend import Backend, ModelError
from worksite.rag.domain.documents import Vector
from worksite.rag.embedder import SHIPPED
from worksite.rag.reranker import Attempt, Pair
from worksite.rag.signed import gains_by_signed_weights, with_signed_weights
from worksite.rag.tokenizing import encoded, plain

MAX_TOKENS = 256
"""What the shipped embedder was trained to read, its two special tokens included."""
_PREFERRED = ("model_quint8_avx2.onnx", "model.onnx")
"""Of several files, as hubs publish them: the small one that is right for every processor, then the unquantised one."""


class OnnxEmbedder:
    """WordPiece, a BERT, the mean of its states. ONNX Runtime works outside the GIL."""

    backend = "onnx"

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the ONNX file and the `tokenizer.json` of a folder. Raises ModelError."""
        model, tokenizer = _model_file(folder), _tokenizer_file(folder)
        self._counter = plain(_load_tokenizer(tokenizer))
        self._tokenizer = plain(_load_tokenizer(tokenizer))
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._session = _load_session(model, threads)
        width = self._session.get_outputs()[0].shape[-1]
        if not isinstance(width, int):
            raise ModelError(f"{model} does not say how long its vectors are")
        self.dimensions = width
        self.model_hash = _sha256(model)
        self.tokenizer_hash = _sha256(tokenizer)

    def count(self, text: str) -> int:
        return len(encoded(self._counter, text, add_special_tokens=False))

    def embed(self, text: str) -> Vector:
        """One text at a time on purpose: the model quantises its activations by the range of the whole input
        tensor, so in a batch a text's vector would depend on its neighbours (cosines down to 0.976 measured).
        Nothing is lost: computing is what takes the time, and batches of 8 were no faster.
        """
        ids = np.array([encoded(self._tokenizer, text).ids], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        states = np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)
        mean = states[0].mean(axis=0)
        return tuple((mean / np.linalg.norm(mean)).tolist())

    def embed_query(self, text: str) -> Vector:
        return self.embed(text)


class OnnxPairModel:
    """A BERT with one logit. ONNX Runtime works outside the GIL."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load a folder in the layout of `cross-encoder/ms-marco-MiniLM-L-6-v2`. Raises ModelError."""
        model = _model_file(folder)
        self.folder = folder
        self.tokenizer = _load_tokenizer(_tokenizer_file(folder))
        self._session = _load_session(model, threads)
        self._inputs = {one.name for one in self._session.get_inputs()}
        if (shape := self._session.get_outputs()[0].shape)[1:] != [1]:
            raise ModelError(f"{model} gives {shape} for a batch of pairs; a reranker gives one score for each")

    def logits(self, pairs: Sequence[Pair], attempt: Attempt) -> Sequence[float]:
        inputs = {
            "input_ids": _padded([pair.encoding.ids for pair in pairs]),
            "attention_mask": _padded([pair.encoding.attention_mask for pair in pairs]),
            "token_type_ids": _padded([pair.encoding.type_ids for pair in pairs]),
        }
        wanted = {name: value for name, value in inputs.items() if name in self._inputs}
        try:
            logits = self._session.run(None, wanted, attempt.options)[0]
        except Exception:  # the binding has no error of its own for a run that was ended
            attempt.check()
            raise
        return np.asarray(logits, dtype=np.float32)[:, 0].tolist()


BACKEND = Backend(
    name=OnnxEmbedder.backend,
    default_embedder=str(SHIPPED),
    files=("config.json", "tokenizer.json", *(f"onnx/{name}" for name in _PREFERRED[:1])),
    weights="onnx/*.onnx",
    embedder=OnnxEmbedder,
    pair_model=OnnxPairModel,
)


def _model_file(folder: Path) -> Path:
    """The ONNX file of a folder, at its top or below `onnx/`. Raises ModelError where it is not clear which."""
    found = {file.name: file for file in (*folder.glob("onnx/*.onnx"), *folder.glob("*.onnx"))}
    if len(found) == 1:
        return next(iter(found.values()))
    for name in _PREFERRED:
        if name in found:
            return found[name]
    named = " or ".join(_PREFERRED)
    raise ModelError(f"{folder} must hold exactly one *.onnx file, found {len(found)} and none named {named}")


def _tokenizer_file(folder: Path) -> Path:
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError(f"{folder} holds no tokenizer.json")
    return file


def _load_tokenizer(file: Path) -> Tokenizer:
    try:
        return Tokenizer.from_file(str(file))
    except Exception as error:  # the binding raises nothing narrower
        raise ModelError(f"{file} cannot be loaded: {error}") from error


def _load_session(model: Path, threads: int) -> ort.InferenceSession:
    ort.disable_telemetry_events()  # nothing leaves this machine, and nothing is noted for it
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # a waiting thread that spins takes the core from whoever it waits for, where cores are shared
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    try:
        return ort.InferenceSession(_source(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the binding's own errors share no base of theirs
        raise ModelError(f"{model} cannot be loaded: {error}") from error


def _source(model: Path) -> str | bytes:
    """The file, or its content where that is changed: a path also finds the files that a model may refer to."""
    if gains_by_signed_weights():
        content = model.read_bytes()
        signed = with_signed_weights(content)
        if signed != content:
            return signed
    return str(model)


def _padded(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """Rows filled up with zeros; where the mask is zero the model reads nothing."""
    filled = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
    for row, values in zip(filled, rows, strict=True):
        row[: len(values)] = values
    return filled


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
