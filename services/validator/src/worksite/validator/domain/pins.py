"""Pins: distributions at exact versions, the only thing that is read from a candidate's lock.

An installer obeys options, paths and URLs in requirement files. So a `Pin` cannot hold any: its parts are parsed and
written anew, and nothing of the candidate's own text is in the line it makes.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from packaging.markers import Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion, Version

MAX_SAID = 100
_NAME = re.compile(r"[a-z0-9]+(-[a-z0-9]+)*")
_HASH = re.compile(r"sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128}")

UNREADABLE = (ValueError, LookupError, TypeError, AttributeError, RecursionError)
"""What parsers raise on nonsense: wrong syntax, wrong shapes, and nesting without end."""


class LockUnusable(Exception):
    """The lock cannot be installed from; the text names the file and the entry."""


@dataclass(frozen=True, order=True)
class Pin:
    """One distribution at one version, in their normal forms (PEP 503, PEP 440); `hashes` as `sha256:…`.

    Raises LockUnusable for a part that is anything else, so that `line` is safe to give to an installer.
    """

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", _name(self.name))
        object.__setattr__(self, "version", _version(self.version))
        for each in self.hashes:
            if not _HASH.fullmatch(each):
                raise LockUnusable(f"{self.name}: {said(each)} is not a SHA-2 hash")

    def line(self) -> str:
        """As a line of a requirements file."""
        return " ".join((f"{self.name}=={self.version}", *(f"--hash={each}" for each in self.hashes)))


def holds(marker: Marker) -> bool:
    """Whether a marker is true here; one about an extra that nobody asked for is not. Raises LockUnusable."""
    try:
        return marker.evaluate()
    except UndefinedEnvironmentName:
        return False
    except UndefinedComparison as error:
        raise LockUnusable(f"the marker {said(str(marker))} compares what cannot be compared") from error


def said(text: object) -> str:
    """A piece of the candidate's text for an error message: short, on one line, without control characters."""
    return ascii(text)[:MAX_SAID]


def _name(text: str) -> str:
    name = canonicalize_name(text)
    if not _NAME.fullmatch(name):
        raise LockUnusable(f"{said(text)} is not the name of a distribution")
    return name


def _version(text: str) -> str:
    try:
        version = str(Version(text))
    except (InvalidVersion, ValueError) as error:  # ValueError: a number of thousands of digits
        raise LockUnusable(f"{said(text)} is not a version") from error
    if not version.isascii():
        raise LockUnusable(f"{said(text)} is not a version")
    return version
