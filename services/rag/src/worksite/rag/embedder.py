"""Dense embeddings by ONNX Runtime: WordPiece, the model, mean pooling, L2 norm."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime as ort
from tokenizers import Tokenizer
from worksite.common.settings import SettingsError
from worksite.rag.domain.documents import DIMENSIONS, Vector

SHIPPED = Path(__file__).parent / "models" / "embedder-minilm-l6"
"""The model that comes with the engine, used where no other is configured."""


MAX_TOKENS = 256
"""What the model was trained to read, its two special tokens included."""


class EmbedderError(SettingsError):
    """RAG_EMBEDDER_PATH names a folder that cannot be used; says which file is missing or does not fit."""


class Embedder:
    """A loaded model. Blocking and safe to call from several threads; ONNX Runtime works outside the GIL."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the one `*.onnx` file and the `tokenizer.json` of a folder. Raises EmbedderError."""
        model, tokenizer = _files(folder)
        self._tokenizer = Tokenizer.from_file(str(tokenizer))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)
        self._counter = Tokenizer.from_file(str(tokenizer))
        self._counter.no_truncation()
        self._counter.no_padding()
        self._session = _session(model, threads)
        self.model_hash = _sha256(model)
        self.tokenizer_hash = _sha256(tokenizer)

    def count(self, text: str) -> int:
        """Model tokens of a text, without the two special tokens that frame an input."""
        return len(self._counter.encode(text, add_special_tokens=False).ids)

    def embed(self, text: str) -> Vector:
        """The unit vector of a text, cut at the model's limit.

        One text at a time on purpose: the model quantises its activations by the range of the whole input
        tensor, so in a batch a text's vector would depend on its neighbours (cosines down to 0.976 measured).
        Nothing is lost: computing is what takes the time, and batches of 8 were no faster.
        """
        encoded = self._tokenizer.encode(text)
        ids = np.array([encoded.ids], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        states = np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)
        mean = states[0].mean(axis=0)
        return tuple((mean / np.linalg.norm(mean)).tolist())


def _files(folder: Path) -> tuple[Path, Path]:
    models = sorted(folder.glob("*.onnx")) or sorted(folder.glob("onnx/*.onnx"))
    if len(models) != 1:
        raise EmbedderError(f"{folder} must hold exactly one *.onnx file, found {len(models)}")
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file():
        raise EmbedderError(f"{folder} holds no tokenizer.json")
    return models[0], tokenizer


def _session(model: Path, threads: int) -> ort.InferenceSession:
    ort.disable_telemetry_events()  # nothing leaves this machine, and nothing is noted for it
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    try:
        session = ort.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # the binding's own errors share no base of theirs
        raise EmbedderError(f"{model} cannot be loaded: {error}") from error
    width = session.get_outputs()[0].shape[-1]
    if width != DIMENSIONS:
        raise EmbedderError(f"{model} gives vectors of {width} dimensions, the index takes {DIMENSIONS}")
    return session


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
