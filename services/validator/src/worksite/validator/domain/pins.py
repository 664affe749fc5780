"""Pins: distributions at exact versions, the only thing that is read from a candidate's lock.

An installer obeys options, paths and URLs in requirement files; so none of them ever reaches it.
"""

from __future__ import annotations

from dataclasses import dataclass

from packaging.markers import Marker, UndefinedEnvironmentName


class LockUnusable(Exception):
    """The lock cannot be installed from; the text names the file and the entry."""


@dataclass(frozen=True, order=True)
class Pin:
    """One distribution at one version; `hashes` as `sha256:…`."""

    name: str
    version: str
    hashes: tuple[str, ...] = ()

    def line(self) -> str:
        """As a line of a requirements file."""
        return " ".join((f"{self.name}=={self.version}", *(f"--hash={each}" for each in self.hashes)))


def holds(marker: Marker) -> bool:
    """Whether a marker is true here; one about an extra that nobody asked for is not."""
    try:
        return marker.evaluate()
    except UndefinedEnvironmentName:
        return False
