"""How large the objects of a pack are, without unpacking them."""

from __future__ import annotations

import contextlib
import random
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from worksite.builder.domain.packs import MAX_GROWTH, check_sizes
from worksite.common.errors import StepRefused

COMMIT, BLOB, OFFSET_DELTA, REFERENCE_DELTA = 1, 3, 6, 7
LIMIT = 1000


def _number(value: int) -> bytes:
    digits = bytearray()
    while value > 0x7F:
        digits.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*digits, value])


def _entry(kind: int, content: bytes, said: int | None = None) -> bytes:
    size = len(content) if said is None else said
    first = kind << 4 | size & 15
    header = bytes([first | 0x80]) + _number(size >> 4) if size > 15 else bytes([first])
    base = {OFFSET_DELTA: b"\x81\x05", REFERENCE_DELTA: bytes(20)}.get(kind, b"")
    return header + base + zlib.compress(content)


def _delta(made: int) -> bytes:
    return _number(5) + _number(made) + b"\x90\x05"


def _pack(*entries: bytes, count: int | None = None, version: int = 2) -> bytes:
    return (
        struct.pack(">4sII", b"PACK", version, len(entries) if count is None else count) + b"".join(entries) + bytes(20)
    )


def _refusal(pack: bytes) -> str:
    with pytest.raises(StepRefused) as refused:
        check_sizes(memoryview(pack), LIMIT)
    return refused.value.code


def test_a_pack_within_the_limits_passes() -> None:
    entries = [_entry(COMMIT, b"c"), _entry(BLOB, b"x" * LIMIT), _entry(BLOB, b"")]

    check_sizes(
        memoryview(_pack(*entries, *(_entry(k, _delta(LIMIT)) for k in (OFFSET_DELTA, REFERENCE_DELTA)))), LIMIT
    )


@pytest.mark.parametrize("size", [0, 1, 16 * 1024 - 1, 16 * 1024, 16 * 1024 + 1, 100_000])
def test_the_next_object_is_found_behind_one_of_any_size(size: int) -> None:
    """Content that shrinks a little, and content that shrinks to nearly nothing."""
    noise = random.Random(size).randbytes(size)
    entries = [_entry(BLOB, content) for content in (noise.hex().encode()[:size], noise, bytes(size))]

    check_sizes(memoryview(_pack(*entries, *entries)), 100_000)


@pytest.mark.parametrize(
    "entry",
    [
        _entry(BLOB, b"x" * (LIMIT + 1)),
        _entry(BLOB, b"x", said=1 << 40),
        _entry(OFFSET_DELTA, _delta(LIMIT + 1)),
        _entry(REFERENCE_DELTA, _delta(1 << 60)),
    ],
)
def test_an_object_over_the_limit_is_refused(entry: bytes) -> None:
    assert _refusal(_pack(entry)) == "repository_too_large"


def test_objects_that_are_too_large_together_are_refused() -> None:
    entries = [_entry(OFFSET_DELTA, _delta(LIMIT))] * MAX_GROWTH
    check_sizes(memoryview(_pack(*entries)), LIMIT)

    assert _refusal(_pack(*entries, _entry(BLOB, b"x"))) == "repository_too_large"


@pytest.mark.parametrize(
    "pack",
    [
        b"",
        b"PACK",
        _pack(version=9),
        _pack(count=1),
        _pack(_entry(BLOB, b"x"), count=2),
        _pack(_entry(BLOB, b"x"), count=0),
        _pack(_entry(BLOB, b"x" * 50))[:-25],
        _pack(_entry(BLOB, b"x", said=2)),
        _pack(_entry(BLOB, b"xxx", said=2)),
        _pack(_entry(BLOB, b"x")[:2] + b"noise" * 9),
        _pack(_entry(OFFSET_DELTA, b"\x80" * 20)),
        _pack(_entry(OFFSET_DELTA, b"")),
        _pack(bytes([0xB0]) + b"\xff" * 30),
    ],
)
def test_what_is_no_whole_pack_is_refused(pack: bytes) -> None:
    assert _refusal(pack) == "upload_unreadable"


@given(st.binary(max_size=200), st.integers(0, 3))
def test_whatever_comes_it_is_read_or_refused(noise: bytes, count: int) -> None:
    with contextlib.suppress(StepRefused):
        check_sizes(memoryview(_pack(noise, count=count)), LIMIT)
