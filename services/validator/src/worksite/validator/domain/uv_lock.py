"""uv's own lock format: universal, so the edges that hold on this machine are followed from the project itself."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from typing import Any, cast

from packaging.markers import Marker
from worksite.validator.domain.pins import UNREADABLE, LockUnusable, Pin, holds, said

_Table = dict[str, Any]


def parse(text: str) -> tuple[Pin, ...]:
    """The pins of the project with all its extras and groups, because tests need theirs. Raises LockUnusable."""
    try:
        packages = cast("list[_Table]", tomllib.loads(text).get("package", []))
        return tuple(dict.fromkeys(_pin(package) for package in _reachable(packages)))
    except LockUnusable as error:
        raise LockUnusable(f"uv.lock: {error}") from error
    except UNREADABLE as error:
        raise LockUnusable(f"uv.lock: cannot be read ({said(str(error))})") from error


def _reachable(packages: list[_Table]) -> Iterator[_Table]:
    """Everything from an index that the local packages lead to."""
    named: dict[str, list[_Table]] = {}
    for package in packages:
        named.setdefault(package["name"], []).append(package)
    pending = [edge for root in packages if _is_local(root) for edge in _all_edges(root)]
    seen: set[tuple[str, str, str]] = set()
    while pending:
        edge = pending.pop()
        if not _applies(edge):
            continue
        package = _target(named.get(edge["name"], []), edge)
        for part in ("", *edge.get("extra", ())):
            key = (package["name"], package.get("version", ""), part)
            if key in seen or _is_local(package):
                continue
            seen.add(key)
            pending += package.get("optional-dependencies", {}).get(part, []) if part else _edges(package)
            yield package


def _target(candidates: list[_Table], edge: _Table) -> _Table:
    """The package an edge means; where the lock holds several versions, the edge names one."""
    for package in candidates:
        version = package.get("version")
        if version == edge.get("version", version):
            return package
    raise LockUnusable(f"{said(edge['name'])} is needed and not in the lock")


def _applies(edge: _Table) -> bool:
    return "marker" not in edge or holds(Marker(edge["marker"]))


def _edges(package: _Table) -> list[_Table]:
    return list(package.get("dependencies", []))


def _all_edges(root: _Table) -> list[_Table]:
    groups = [*root.get("optional-dependencies", {}).values(), *root.get("dev-dependencies", {}).values()]
    return [*_edges(root), *(edge for group in groups for edge in group)]


def _is_local(package: _Table) -> bool:
    return bool({"virtual", "editable", "directory"} & set(package.get("source", {})))


def _pin(package: _Table) -> Pin:
    hashes = tuple(wheel["hash"] for wheel in package.get("wheels", []) if "hash" in wheel)
    if "registry" not in package.get("source", {}) or not hashes:
        raise LockUnusable(f"{said(package['name'])} has no wheels from an index, and only those are installed")
    return Pin(package["name"], package["version"], hashes)
