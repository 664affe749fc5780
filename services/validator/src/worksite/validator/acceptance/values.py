"""Values on their way between the examiner and a candidate's process. Standard library only; both sides have this.

JSON's own scalars travel as they are, a list as a list, and everything else as `{"kind", "value"}`. Only values of
exactly these types travel, no subclass: what an examiner gets is built by the examiner from plain parts, so that it
compares as Python's own types do. Any other object stays where it is, and its number travels (`kind` object).
"""

from __future__ import annotations

import base64
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

_PLAIN = (type(None), bool, int, str)
_TEXTS: dict[type, tuple[str, Callable[[Any], str], Callable[[str], Any]]] = {
    float: ("float", float.hex, float.fromhex),  # JSON knows neither infinities nor NaN
    complex: ("complex", str, complex),
    Decimal: ("decimal", str, Decimal),
    Fraction: ("fraction", str, Fraction),
    date: ("date", date.isoformat, date.fromisoformat),
    datetime: ("datetime", datetime.isoformat, datetime.fromisoformat),
    time: ("time", time.isoformat, time.fromisoformat),
    timedelta: (
        "timedelta",
        lambda delta: f"{delta.days} {delta.seconds} {delta.microseconds}",
        lambda text: timedelta(*map(int, text.split())),
    ),
    bytes: ("bytes", lambda data: base64.b64encode(data).decode(), lambda text: base64.b64decode(text, validate=True)),
}
_SERIES: dict[type, str] = {tuple: "tuple", set: "set", frozenset: "frozenset"}
_FROM_TEXT = {kind: read for kind, _, read in _TEXTS.values()}
_FROM_SERIES: dict[str, Callable[[Any], Any]] = {kind: series for series, kind in _SERIES.items()}


def encode(value: Any, keep: Callable[[Any], int]) -> Any:
    """As a JSON document; `keep` gives the number of an object that stays here."""
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is list:
        return [encode(each, keep) for each in value]
    if kind in _TEXTS:
        name, write, _ = _TEXTS[kind]
        return {"kind": name, "value": write(value)}
    if kind is tuple or (kind in _SERIES and all(map(_is_key, value))):
        return {"kind": _SERIES[kind], "value": [encode(each, keep) for each in value]}
    if kind is dict and all(map(_is_key, value)):
        return {"kind": "dict", "value": [[encode(key, keep), encode(each, keep)] for key, each in value.items()]}
    return {"kind": "object", "value": keep(value)}


def _is_key(value: Any) -> bool:
    """Whether it can be looked up on the other side. An object that stays here cannot, so a set of such stays too."""
    kind = type(value)
    return kind in _PLAIN or kind in _TEXTS or (kind in (tuple, frozenset) and all(map(_is_key, value)))


def decode(document: Any, restore: Callable[[int], Any]) -> Any:
    """The value again; `restore` says what stands for an object of the other side. Raises ValueError, TypeError,
    LookupError or ArithmeticError for what `encode` does not write."""
    if type(document) in _PLAIN:
        return document
    if type(document) is list:
        return [decode(each, restore) for each in document]
    kind, value = document["kind"], document["value"]
    if kind in _FROM_TEXT:
        return _FROM_TEXT[kind](value)
    if kind in _FROM_SERIES:
        return _FROM_SERIES[kind](decode(each, restore) for each in value)
    if kind == "dict":
        return {decode(key, restore): decode(each, restore) for key, each in value}
    if kind == "object" and type(value) is int:
        return restore(value)
    raise ValueError(f"no value is of the kind {kind!r}")
