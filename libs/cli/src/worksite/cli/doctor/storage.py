"""The state directory and the disk below it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from worksite.cli.doctor.finding import Finding
from worksite.cli.stack import disk, layout
from worksite.cli.stack.state import DISK_SHARE, State

_GIB = 1 << 30
_COMFORTABLE_BYTES = 2 * _GIB
_NEEDED_INODES = 20_000
_CLOCK_LEEWAY_SECONDS = 60
_STATE_ADVICE = "choose another directory with WORKSITE_STATE"


def checks(state: State, now: float) -> Iterator[Finding]:
    """`now`: this machine's clock, in seconds since 1970."""
    yield condition(state)
    yield secrets(state)
    yield space(state, disk.free_bytes(state.root))
    yield inodes(_free_inodes(state.root))
    yield clock(now, _newest(state))


def condition(state: State) -> Finding:
    """Whose directory it is, of which format, and what runs on it."""
    if reason := layout.problem(state.root):
        return Finding("state", "missing", reason)
    above = next(path for path in (state.root, *state.root.parents) if path.exists())
    if not os.access(above, os.W_OK | os.X_OK):
        return Finding("state", "missing", f"{above} cannot be written", f"chown it to you, or {_STATE_ADVICE}")
    if not (state.root / "lock").exists():
        return Finding("state", "ok", f"{state.root}: no stack has run on it yet")
    if state.in_use():
        return Finding("state", "ok", f"{state.root}: a stack is running, {state.described().get('gateway_url', '')}")
    killed = ", the last stack was killed; the next one cleans up" if state.description.exists() else ""
    return Finding("state", "ok", f"{state.root}: format {layout.FORMAT}, no stack is running{killed}")


def secrets(state: State) -> Finding:
    """Whoever reads these owns the stack."""
    if empty := [p for p in state.root.glob("secrets/*/*") if not p.stat().st_size]:
        remedy = f"remove {state.root / 'secrets'}, all of it: the next start makes new ones"
        return Finding("secrets", "missing", f"{empty[0]} is empty", remedy)
    open_to_others = [p for p in state.root.glob("secrets/*/*") if stat.S_IMODE(p.stat().st_mode) & 0o077]
    if open_to_others:
        remedy = f"chmod -R go= {state.root / 'secrets'}"
        return Finding("secrets", "warning", f"other users may read {open_to_others[0]}", remedy)
    return Finding("secrets", "ok", "only you can read them")


def space(state: State, free: int) -> Finding:
    """What is free, and how much of it the bus may take."""
    limit = state.nats / "disk_bytes"
    share = state.disk_bytes() if limit.exists() else int(free * DISK_SHARE)
    text = f"{free / _GIB:.1f} GiB free, of which NATS may take {share / _GIB:.1f} in all"
    if free < disk.NEEDED_BYTES:
        remedy = f"free some on the disk of {state.root}, or {_STATE_ADVICE}"
        return Finding("disk", "missing", f"only {free >> 20} MiB free, {disk.NEEDED_BYTES >> 20} are needed", remedy)
    if free < _COMFORTABLE_BYTES:
        return Finding("disk", "warning", text, "a few tasks with environments of their own fill this: free some space")
    return Finding("disk", "ok", text)


def inodes(free: int | None) -> Finding:
    """None where the file system has no such limit."""
    if free is None or free >= _NEEDED_INODES:
        return Finding("inodes", "ok", "no limit" if free is None else f"{free} free")
    return Finding("inodes", "missing", f"only {free} free, {_NEEDED_INODES} are needed", "remove small files")


def clock(now: float, newest: float) -> Finding:
    """Tokens, deadlines and retention go by this machine's clock. `newest`: when the state was last written."""
    behind = newest - now
    if behind > _CLOCK_LEEWAY_SECONDS:
        remedy = "set it (timedatectl set-ntp true, or date -s); until then tokens and deadlines go wrong"
        return Finding("clock", "warning", f"{behind:.0f} s behind the newest file of the state or of Worksite", remedy)
    return Finding("clock", "ok", "not behind what was written before")


def _free_inodes(root: Path) -> int | None:
    existing = next(path for path in (root, *root.parents) if path.exists())
    status = os.statvfs(existing)
    return status.f_favail if status.f_files else None


def _newest(state: State) -> float:
    """Of a few files that every start writes, and of our own program."""
    files = (state.log, state.description, state.nats / "nats.conf", state.root / layout.FORMAT_FILE, Path(__file__))
    return max(file.stat().st_mtime for file in files if file.exists())
