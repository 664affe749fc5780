"""The same model with signed weights, which processors with VNNI multiply about twice as fast as unsigned ones.

Quantised weights count from a zero point: with both moved by 128 the type is another one and every product is the
same, so that vectors do not change by a bit. Other processors add two products of unsigned and signed bytes in 16
bits, where they overflow; there the file stays as it is.

An ONNX file is a protobuf message. The few fields that change are rewritten here, because the library that knows all
of them is many times as large as the model.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

_CPU = Path("/proc/cpuinfo")
_VNNI = re.compile(r"\bavx(?:512)?_vnni\b")
_GRAPH = 7
_NODE, _INITIALIZER = 1, 5
_INPUT, _OPERATOR = 1, 4
_TYPE, _INTEGERS, _NAME, _RAW = 2, 5, 8, 9
"""Numbers of the fields of a model, a graph, a node and a tensor, in onnx.proto."""
_UNSIGNED, _SIGNED = 2, 3
_HAS_LENGTH = 2
"""The wire type of texts, bytes and messages; whatever else is read here is one number."""
_MOVED = bytes(byte ^ 128 for byte in range(256))
"""Of each unsigned byte, the signed one that is smaller by 128."""

_Value = int | bytes
_Fields = list[tuple[int, _Value]]


def gains_by_signed_weights() -> bool:
    """True where the system says that the processor has VNNI."""
    return _CPU.exists() and _VNNI.search(_CPU.read_text()) is not None


def with_signed_weights(model: bytes) -> bytes:
    """An ONNX file whose integer multiplications take signed weights, as far as they took unsigned ones.

    Bytes that are no such file come back as they are.
    """
    try:
        return _replaced(model, _GRAPH, _signed_graph)
    except (IndexError, KeyError, TypeError):
        return model


def _signed_graph(graph: bytes) -> bytes:
    weights = _weights(graph)

    def signed(tensor: bytes) -> bytes:
        return _signed_tensor(tensor) if dict(_fields(tensor))[_NAME] in weights else tensor

    return _replaced(graph, _INITIALIZER, signed)


def _weights(graph: bytes) -> set[_Value]:
    """Names of unsigned weights and of their zero points, both constant and read by nothing but multiplications."""
    pairs, others = list[tuple[_Value, _Value]](), set[_Value]()
    for node in _messages(graph, _NODE):
        inputs = [value for number, value in node if number == _INPUT]
        if (_OPERATOR, b"MatMulInteger") in node and len(inputs) == 4:
            pairs.append((inputs[1], inputs[3]))
            inputs = [inputs[0], inputs[2]]
        others.update(inputs)
    unsigned = {dict(tensor)[_NAME] for tensor in _messages(graph, _INITIALIZER) if _is_unsigned(tensor)}
    return {name for pair in pairs if unsigned.issuperset(pair) and others.isdisjoint(pair) for name in pair}


def _is_unsigned(tensor: _Fields) -> bool:
    """And here: the numbers of some models are in a file of their own."""
    return (_TYPE, _UNSIGNED) in tensor and not dict(tensor).keys().isdisjoint((_RAW, _INTEGERS))


def _signed_tensor(tensor: bytes) -> bytes:
    """Its numbers stand in one of two fields: as bytes, or packed as numbers of any size."""
    tensor = _replaced(tensor, _RAW, lambda raw: raw.translate(_MOVED))
    tensor = _replaced(tensor, _INTEGERS, lambda packed: b"".join(_written(n - 128) for n in _numbers(packed)))
    return _replaced(tensor, _TYPE, lambda _: _SIGNED)


def _messages(message: bytes, wanted: int) -> Iterator[_Fields]:
    return (list(_fields(value)) for number, value in _fields(message) if number == wanted and isinstance(value, bytes))


def _fields(message: bytes) -> Iterator[tuple[int, _Value]]:
    return ((key >> 3, value) for key, value in _keyed(message))


def _replaced(message: bytes, wanted: int, change: Callable[[Any], _Value]) -> bytes:
    """The message with the values of one field changed; all others stay as and where they are."""
    parts: list[bytes] = []
    for key, value in _keyed(message):
        new = change(value) if key >> 3 == wanted else value
        parts += [_written(key), _written(new) if isinstance(new, int) else _written(len(new)) + new]
    return b"".join(parts)


def _keyed(message: bytes) -> Iterator[tuple[int, _Value]]:
    at = 0
    while at < len(message):
        key, at = _number(message, at)
        value, at = _number(message, at)
        if key & 7 == _HAS_LENGTH:
            yield key, message[at : at + value]
            at += value
        else:
            yield key, value


def _numbers(packed: bytes) -> Iterator[int]:
    at = 0
    while at < len(packed):
        number, at = _number(packed, at)
        yield number


def _number(message: bytes, at: int) -> tuple[int, int]:
    """A varint, seven bits a byte and the lowest first, and what follows it."""
    number = shift = 0
    while (byte := message[at]) > 127:
        number |= (byte & 127) << shift
        shift, at = shift + 7, at + 1
    return number | byte << shift, at + 1


def _written(number: int) -> bytes:
    number %= 1 << 64  # a negative number is written as what 64 bits hold of it
    written = bytearray()
    while number > 127:
        written.append(number & 127 | 128)
        number >>= 7
    return bytes([*written, number])
