"""Dense embeddings by ONNX Runtime: WordPiece, the model, mean pooling, L2 norm."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from tokenizers import Encoding, Tokenizer
from worksite.rag.domain.documents import DIMENSIONS, Vector
from worksite.rag.inference import ModelError, load_session, load_tokenizer, model_file, tokenizer_file

SHIPPED = Path(__file__).parent / "models" / "embedder-minilm-l6"
"""The model that comes with the engine, used where no other is configured."""


MAX_TOKENS = 256
"""What the model was trained to read, its two special tokens included."""


class Embedder:
    """A loaded model. Blocking and safe to call from several threads; ONNX Runtime works outside the GIL."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load the `*.onnx` file and the `tokenizer.json` of a folder. Raises ModelError."""
        model, tokenizer = model_file(folder), tokenizer_file(folder)
        self._tokenizer = load_tokenizer(folder, MAX_TOKENS)
        self._counter = load_tokenizer(folder)
        self._session = load_session(model, threads)
        width = self._session.get_outputs()[0].shape[-1]
        if width != DIMENSIONS:
            raise ModelError(f"{model} gives vectors of {width} dimensions, the index takes {DIMENSIONS}")
        self.folder = folder
        self.model_hash = _sha256(model)
        self.tokenizer_hash = _sha256(tokenizer)

    def count(self, text: str) -> int:
        """Model tokens of a text, without the two special tokens that frame an input."""
        return len(_encoded(self._counter, text, add_special_tokens=False))

    def embed(self, text: str) -> Vector:
        """The unit vector of a text, cut at the model's limit.

        One text at a time on purpose: the model quantises its activations by the range of the whole input
        tensor, so in a batch a text's vector would depend on its neighbours (cosines down to 0.976 measured).
        Nothing is lost: computing is what takes the time, and batches of 8 were no faster.
        """
        encoded = _encoded(self._tokenizer, text)
        ids = np.array([encoded.ids], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        states = np.asarray(self._session.run(None, inputs)[0], dtype=np.float32)
        mean = states[0].mean(axis=0)
        return tuple((mean / np.linalg.norm(mean)).tolist())


def _encoded(tokenizer: Tokenizer, text: str, add_special_tokens: bool = True) -> Encoding:
    """As a batch of one, which is computed outside of the GIL; `encode` holds it, for seconds where a text is long."""
    return tokenizer.encode_batch([text], add_special_tokens=add_special_tokens)[0]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
