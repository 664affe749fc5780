"""The two ports that `worksite up` asks for; `worksite run` takes free ones."""

from __future__ import annotations

from collections.abc import Iterator

from worksite.cli.doctor.finding import Finding
from worksite.cli.stack import layout
from worksite.cli.stack.embedded import Ports
from worksite.cli.stack.ports import unavailable
from worksite.cli.stack.state import State


def checks(ports: Ports, state: State) -> Iterator[Finding]:
    """A port that our own running stack has is well placed."""
    if ports.gateway and ports.gateway == ports.admin:
        remedy = "set one of them to another port; 'worksite run' takes any free ones"
        yield Finding("ports", "warning", f"DASHBOARD_PORT and ADMIN_PORT are both {ports.admin}", remedy)
    running = state.root.is_dir() and layout.problem(state.root) is None and state.in_use()
    ours = {str(url).rsplit(":", 1)[-1] for url in state.described().values()} if running else set[str]()
    for check, variable, port in (("port", "DASHBOARD_PORT", ports.gateway), ("admin port", "ADMIN_PORT", ports.admin)):
        yield _port(check, variable, port, str(port) in ours)


def _port(check: str, variable: str, port: int, ours: bool) -> Finding:
    if ours:
        return Finding(check, "ok", f"{port}, used by the stack that runs here")
    if port and (reason := unavailable(port)):
        remedy = f"set {variable} to a free one before 'worksite up'; 'worksite run' takes any free port"
        return Finding(check, "warning", reason, remedy)
    return Finding(check, "ok", f"{port} is free" if port else "any free one")
