"""How large the objects of a pack are (gitformat-pack), before git is let near it.

A delta of a few bytes can stand for gigabytes, and git makes room for what it says.
"""

from __future__ import annotations

import struct
import zlib

from worksite.builder.domain.bundles import MAKE_ONE
from worksite.common.errors import StepRefused

MAX_GROWTH = 32
"""Every version of every file counts: even a small project's history unpacks to hundreds of megabytes."""
_HEADER = struct.Struct(">4sII")
_HASH_BYTES = 20
_OFFSET_DELTA, _REFERENCE_DELTA = 6, 7
_SLICE_BYTES = 16 * 1024
_DELTA_HEADER_BYTES = 20
"""Two sizes of at most 64 bits, 7 of them in a byte."""


def check_sizes(pack: memoryview, max_bytes: int) -> None:
    """Walk through the pack, holding little of it in memory.

    Raises StepRefused when an object holds more than `max_bytes`, all of them more than MAX_GROWTH times as much, or
    the pack is not what its header says.
    """
    try:
        end = _walk(pack, max_bytes)
    except (IndexError, struct.error, zlib.error):
        raise _broken() from None
    if len(pack) - end != _HASH_BYTES:
        raise _broken()


def _walk(pack: memoryview, max_bytes: int) -> int:
    """Where the last object ends."""
    signature, version, count = _HEADER.unpack_from(pack)
    if signature != b"PACK" or version not in {2, 3}:
        raise _broken()
    position, total = _HEADER.size, 0
    for _ in range(count):
        size, position = _object(pack, position, max_bytes)
        total += size
        if size > max_bytes or total > MAX_GROWTH * max_bytes:
            raise _too_large(max_bytes)
    return position


def _object(pack: memoryview, position: int, max_bytes: int) -> tuple[int, int]:
    """The unpacked size of the object at `position`, and where the next one begins."""
    first = pack[position]
    kind, size, position = first >> 4 & 7, first & 15, position + 1
    if first & 0x80:
        more, position = _number(pack, position)
        size |= more << 4
    if size > max_bytes:
        raise _too_large(max_bytes)
    if kind == _REFERENCE_DELTA:
        position += _HASH_BYTES
    elif kind == _OFFSET_DELTA:
        _, position = _number(pack, position)
    start, position = _inflate(pack, position, size)
    if kind not in {_OFFSET_DELTA, _REFERENCE_DELTA}:
        return size, position
    _, offset = _number(start, 0)  # the size of what the delta is applied to
    return max(size, _number(start, offset)[0]), position


def _number(data: memoryview, position: int) -> tuple[int, int]:
    """Seven bits a byte, the lowest first, the top bit set where another byte follows."""
    value = shift = 0
    while True:
        byte = data[position]
        value |= (byte & 0x7F) << shift
        position, shift = position + 1, shift + 7
        if not byte & 0x80:
            return value, position
        if shift > 63:
            raise _broken()


def _inflate(pack: memoryview, position: int, size: int) -> tuple[memoryview, int]:
    """The first bytes of a compressed object that holds exactly `size`, and where it ends."""
    inflater, start, made = zlib.decompressobj(), b"", 0
    while not inflater.eof:
        given = pack[position : position + _SLICE_BYTES]
        output = inflater.decompress(given, _SLICE_BYTES)
        taken = len(given) - len(inflater.unused_data if inflater.eof else inflater.unconsumed_tail)
        position, made = position + taken, made + len(output)
        start += output[: _DELTA_HEADER_BYTES - len(start)]
        if made > size or not (taken or output):
            raise _broken()
    if made != size:
        raise _broken()
    return memoryview(start), position


def _broken() -> StepRefused:
    return StepRefused("upload_unreadable", f"the bundle is broken or cut off: {MAKE_ONE}")


def _too_large(max_bytes: int) -> StepRefused:
    return StepRefused(
        "repository_too_large",
        f"the bundle unpacks to an object of more than {max_bytes} bytes, or to more than {MAX_GROWTH} times as much",
    )
