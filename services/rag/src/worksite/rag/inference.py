"""What both models have in common: finding their files in a folder, and ONNX Runtime."""

from __future__ import annotations

from pathlib import Path

import onnxruntime as ort
from tokenizers import Tokenizer
from worksite.common.settings import SettingsError
from worksite.rag.signed import gains_by_signed_weights, with_signed_weights

_PREFERRED = ("model_quint8_avx2.onnx", "model.onnx")
"""Of several files, as hubs publish them: the small one that is right for every processor, then the unquantised one."""


class ModelError(SettingsError):
    """A folder that a setting names cannot be used as a model; says which file is missing or does not fit."""


def model_file(folder: Path) -> Path:
    """The ONNX file of a folder, at its top or below `onnx/`. Raises ModelError where it is not clear which."""
    found = {file.name: file for file in (*folder.glob("onnx/*.onnx"), *folder.glob("*.onnx"))}
    if len(found) == 1:
        return next(iter(found.values()))
    for name in _PREFERRED:
        if name in found:
            return found[name]
    named = " or ".join(_PREFERRED)
    raise ModelError(f"{folder} must hold exactly one *.onnx file, found {len(found)} and none named {named}")


def tokenizer_file(folder: Path) -> Path:
    """The `tokenizer.json` of a folder. Raises ModelError."""
    file = folder / "tokenizer.json"
    if not file.is_file():
        raise ModelError(f"{folder} holds no tokenizer.json")
    return file


def load_tokenizer(folder: Path, max_tokens: int | None = None) -> Tokenizer:
    """A folder's tokenizer, which pads nothing and cuts only at `max_tokens`. Raises ModelError."""
    tokenizer = Tokenizer.from_file(str(tokenizer_file(folder)))
    tokenizer.no_padding()
    if max_tokens is None:
        tokenizer.no_truncation()
    else:
        tokenizer.enable_truncation(max_tokens)
    return tokenizer


def load_session(model: Path, threads: int) -> ort.InferenceSession:
    """The model, ready to run on the processor. Raises ModelError."""
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
