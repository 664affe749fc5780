"""Every check, in the order in which a person would mend what it finds."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from worksite.cli.doctor import isolation, machine, network, programs, storage, supplies, variables
from worksite.cli.doctor.finding import Finding
from worksite.cli.stack.embedded import Ports
from worksite.cli.stack.errors import NotReady
from worksite.cli.stack.state import State


async def examine(state: State, root: Path, ports: Ports, environ: Mapping[str, str]) -> list[Finding]:
    """Look at this machine; nothing of it is changed."""
    quick = [
        *_checked("machine", machine.checks),
        *_checked("programs", programs.checks),
        *_checked("storage", lambda: storage.checks(state, time.time())),
        *_checked("ports", lambda: network.checks(ports, state)),
        *_checked("supplies", lambda: supplies.checks(state, root)),
        *_checked(".env", lambda: variables.env_file(root, environ)),
    ]
    return [*quick, *await asyncio.gather(isolation.check(state, environ), variables.check(state, root, environ))]


def _checked(group: str, checks: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    """What the operating system refuses to tell is a finding too, and does not end the examination."""
    try:
        yield from checks()
    except (OSError, NotReady) as error:
        yield Finding(group, "warning", f"could not be checked further: {error}")
