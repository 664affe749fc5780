"""Whether a port can be had, and if not, who has it; and how it is kept."""

from __future__ import annotations

import contextlib
import errno
import pwd
import socket
from collections.abc import Iterator
from pathlib import Path

from worksite.cli.stack.errors import NotReady

_LISTENING = "0A"


def chosen_port(variable: str, wanted: int, kept: contextlib.ExitStack) -> int:
    """The wanted port, or a free one for 0, kept. Raises NotReady naming the variable that changes it."""
    if wanted and (reason := unavailable(wanted)):
        raise NotReady(f"{reason}: set {variable} to a free port, or to 0 for any")
    return kept_port(kept, wanted)


def kept_port(kept: contextlib.ExitStack, wanted: int = 0) -> int:
    """A port for a program of ours, which nobody else gets until `kept` is closed; 0: any. Raises OSError.

    One that is merely found free can be gone a moment later, as the near end of any connection that goes out. What
    keeps it is bound but does not listen, so a program that asks to share it (SO_REUSEADDR) still can.
    """
    keeper = kept.enter_context(socket.socket())
    keeper.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    keeper.bind(("127.0.0.1", wanted))
    return int(keeper.getsockname()[1])


def unavailable(port: int) -> str | None:
    """Why the gateway or admin cannot listen there; None when they can."""
    if not 0 <= port < 65536:
        return f"{port} is no port, they go from 0 to 65535"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            if error.errno == errno.EACCES:
                return f"port {port} is for privileged users only"
            return f"port {port} is taken by {holder(port) or 'a process that cannot be seen from here'}"
    return None


def holder(port: int) -> str | None:
    """Who listens on it, as far as /proc tells: of a stranger's process only the user."""
    for inode, uid in _listeners(port):
        return _process(f"socket:[{inode}]") or f"a process of user {_user(uid)}"
    return None


def _listeners(port: int) -> Iterator[tuple[str, int]]:
    """Socket inode and user of what listens; columns as in proc_net_tcp(5)."""
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(table).read_text().splitlines()[1:]:
                columns = line.split()
                if columns[3] == _LISTENING and int(columns[1].rsplit(":", 1)[1], 16) == port:
                    yield columns[9], int(columns[7])


def _process(link: str) -> str | None:
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # a stranger's, or ended meanwhile
            if any(str(descriptor.readlink()) == link for descriptor in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (process {process.name})"
    return None


def _user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
