"""What is counted of the sandbox."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from prometheus_client import Counter, Gauge
from worksite.common.telemetry import from_zero
from worksite.validator.sandbox.errors import LauncherError

_RUNS = Counter("worksite_sandbox_runs_total", "Programs that were run to their end, by what stopped them", ["stopped"])
_FAILURES = from_zero(
    Counter(
        "worksite_sandbox_failures_total", "Programs that could not be started or supervised, by what failed", ["step"]
    ),
    ("workspace", "spawn", "namespaces", "launcher", "limits", "landlock", "seccomp", "exec", "keeper", "disk"),
)
_ISOLATION = Gauge("worksite_sandbox_isolation", "1 for the level that confines candidates", ["level"])


def ended(stopped: str | None) -> None:
    """A program ended by itself, or was stopped by this limit."""
    _RUNS.labels(stopped or "itself").inc()


@contextlib.contextmanager
def failures_counted() -> Iterator[None]:
    """Around a run."""
    try:
        yield
    except LauncherError as error:
        _FAILURES.labels(error.step).inc()
        raise


def confined(level: str) -> None:
    """The service works at this level."""
    _ISOLATION.labels(level).set(1)
