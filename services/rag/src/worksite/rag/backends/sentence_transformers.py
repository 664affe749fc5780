"""Any hub's model by sentence-transformers and torch: on a GPU where there is one, else on the processor.

Behind the extra `sentence-transformers`, for torch alone is gigabytes. Models bring no code of their own to run here.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch  # pyright: ignore[reportMissingImports]
from sentence_transformers import CrossEncoder, SentenceTransformer  # pyright: ignore[reportMissingImports]
from tokenizers import Tokenizer
from transformers.utils.logging import disable_progress_bar  # pyright: ignore[reportMissingImports]
from worksite.rag.backend import Backend, ModelError
from worksite.rag.domain.documents import Vector
from worksite.rag.reranker import Attempt, Pair
from worksite.rag.tokenizing import encoded, plain

_HEADS = ("ForSequenceClassification", "ForCausalLM")
"""What scores. To any other model the library would give a head of random weights."""


class TorchEmbedder:
    """A SentenceTransformer, with the pooling and the prompts that its folder names."""

    backend = "sentence-transformers"

    def __init__(self, folder: Path, threads: int) -> None:
        """Load a folder as `SentenceTransformer.save_pretrained` writes it. Raises ModelError."""
        self._model = _loaded(SentenceTransformer, folder, threads)
        self._counter = plain(_tokenizer_of(self._model, folder))
        self.tokenizer_hash = hashlib.sha256(self._counter.to_str().encode()).hexdigest()
        self.model_hash = _sha256(self._model)
        # the library sets its tokenizer up at the first text of each kind; from then on threads only read it
        self.dimensions = len(self.embed(""))
        self.embed_query("")

    def count(self, text: str) -> int:
        return len(encoded(self._counter, text, add_special_tokens=False))

    def embed(self, text: str) -> Vector:
        return self._vector(self._model.encode_document, text)

    def embed_query(self, text: str) -> Vector:
        return self._vector(self._model.encode_query, text)

    def _vector(self, encode: Callable[..., Any], text: str) -> Vector:
        return tuple(encode(text, normalize_embeddings=True, show_progress_bar=False).tolist())


class TorchPairModel:
    """A CrossEncoder with one score for a pair."""

    def __init__(self, folder: Path, threads: int) -> None:
        """Load a folder as `CrossEncoder.save_pretrained` writes it. Raises ModelError."""
        self._model = _loaded(CrossEncoder, folder, threads)
        trained = any(one.endswith(_HEADS) for one in self._model.config.architectures or ())
        if self._model.num_labels != 1 or not trained:
            raise ModelError(f"{folder} was not trained to score pairs: a reranker gives one score for each")
        self.folder = folder
        self.tokenizer = _tokenizer_of(self._model, folder)
        self._turn = threading.Lock()
        self._attempt = Attempt()
        for part in self._model.modules():
            part.register_forward_pre_hook(lambda *_: self._attempt.check())

    def logits(self, pairs: Sequence[Pair], attempt: Attempt) -> Sequence[float]:
        texts = [pair.texts for pair in pairs]
        with self._turn:
            self._attempt = attempt
            scores = self._model.predict(
                texts, batch_size=len(texts), activation_fn=torch.nn.Identity(), show_progress_bar=False
            )
            return scores.tolist()


BACKEND = Backend(
    name=TorchEmbedder.backend,
    default_embedder="sentence-transformers/all-MiniLM-L6-v2",
    files=("*.json", "*.txt", "*.model", "*.safetensors"),  # pickled weights may run code: they are not taken
    weights="**/*.safetensors",
    embedder=TorchEmbedder,
    pair_model=TorchPairModel,
)


def _loaded(kind: type[Any], folder: Path, threads: int) -> Any:
    """In full precision, so that every device gives the same ranking. Threads are those of the whole process."""
    torch.set_num_threads(threads)
    disable_progress_bar()  # which would be written between the lines of the log
    try:
        return kind(str(folder), local_files_only=True, model_kwargs={"dtype": torch.float32}).eval()
    except Exception as error:  # the library lets through whatever its parts raise
        raise ModelError(f"{folder} cannot be loaded by sentence-transformers: {error}") from error


def _tokenizer_of(model: Any, folder: Path) -> Tokenizer:
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    if not isinstance(tokenizer, Tokenizer):
        raise ModelError(f"{folder} has no fast tokenizer (tokenizer.json), which tokens are counted with")
    return tokenizer


def _sha256(model: SentenceTransformer) -> str:
    """Of all weights and of what is done with them: limits, pooling, normalising, prompts."""
    digest = hashlib.sha256(repr(model).encode())
    digest.update(json.dumps([model.prompts, model.default_prompt_name], sort_keys=True).encode())
    for name, tensor in model.state_dict().items():
        digest.update(name.encode())
        digest.update(tensor.cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return digest.hexdigest()
