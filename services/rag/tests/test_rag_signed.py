"""Signed weights: other bytes, the same vectors."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest
from worksite.rag import signed
from worksite.rag.backends.onnx import OnnxEmbedder
from worksite.rag.embedder import SHIPPED, Embedder
from worksite.rag.reranker import SHIPPED as SHIPPED_RERANKER
from worksite.rag.signed import gains_by_signed_weights, with_signed_weights

TEXTS = ["Refresh tokens are rotated on every use. " * 20, "how are tokens rotated?", "漢字 🧪", ""]
UNSIGNED, FLOAT = b"\x10\x02", b"\x10\x01"


def message(fields: Iterable[tuple[int, bytes]]) -> bytes:
    """Fields of protobuf, all shorter than 128 bytes."""
    return b"".join(bytes([number << 3 | 2, len(value)]) + value for number, value in fields)


def tensor(name: bytes, type_field: bytes, raw: bytes) -> tuple[int, bytes]:
    return 5, type_field + message([(8, name), (9, raw)])


def node(operator: bytes, *inputs: bytes) -> tuple[int, bytes]:
    return 1, message([*((1, name) for name in inputs), (4, operator)])


def model(*graph: tuple[int, bytes]) -> bytes:
    return message([(7, message(graph))])


def without_vnni(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "cpuinfo").write_text("flags : fpu avx avx2 avx512f")
    monkeypatch.setattr(signed, "_CPU", tmp_path / "cpuinfo")


@pytest.mark.skipif(not gains_by_signed_weights(), reason="this processor overflows with signed weights")
def test_vectors_are_the_same_to_the_last_bit(
    embedder: Embedder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_vnni(monkeypatch, tmp_path)
    as_shipped = OnnxEmbedder(SHIPPED, threads=1)
    assert [embedder.embed(text) for text in TEXTS] == [as_shipped.embed(text) for text in TEXTS]


def test_shipped_embedder_has_weights_to_change_and_the_reranker_has_none() -> None:
    embedder, reranker = (next(folder.glob("*.onnx")).read_bytes() for folder in (SHIPPED, SHIPPED_RERANKER))
    assert with_signed_weights(embedder) != embedder
    assert with_signed_weights(reranker) == reranker


def test_weights_and_their_zero_point_move_together() -> None:
    multiplied = node(b"MatMulInteger", b"x", b"w", b"xz", b"wz")
    before = model(multiplied, tensor(b"w", UNSIGNED, bytes([0, 127, 255])), tensor(b"wz", UNSIGNED, bytes([128])))
    moved = tensor(b"w", b"\x10\x03", bytes([128, 255, 127])), tensor(b"wz", b"\x10\x03", bytes([0]))
    assert with_signed_weights(before) == model(multiplied, *moved)


@pytest.mark.parametrize(
    "untouched",
    [
        model(node(b"MatMulInteger", b"x", b"w", b"xz", b"wz"), tensor(b"w", UNSIGNED, b"\1")),
        model(node(b"MatMulInteger", b"x", b"w"), tensor(b"w", UNSIGNED, b"\1")),
        model(node(b"MatMul", b"x", b"w"), tensor(b"w", FLOAT, b"\1")),
        model(
            node(b"MatMulInteger", b"x", b"w", b"xz", b"wz"),
            node(b"Gather", b"w", b"ids"),
            tensor(b"w", UNSIGNED, b"\1"),
            tensor(b"wz", UNSIGNED, b"\1"),
        ),
        model(
            node(b"MatMulInteger", b"x", b"w", b"xz", b"wz"),
            (5, UNSIGNED + message([(8, b"w"), (13, b"weights")])),
            tensor(b"wz", UNSIGNED, b"\1"),
        ),
        b"not a model",
    ],
    ids=["computed zero point", "no zero point", "unquantised", "read by another", "in another file", "no model"],
)
def test_what_cannot_be_changed_alone_is_left_as_it_is(untouched: bytes) -> None:
    assert with_signed_weights(untouched) == untouched
