"""The bubblewrap command: a process, network, IPC and mount namespace around the jail.

Inside, the jail applies its Landlock rules as everywhere, so that a candidate meets the same world at both levels:
nothing in /proc can be opened, /tmp and /dev/shm do not exist (TMPDIR is its scratch directory), no sockets. Therefore
none of the sized tmpfs mounts are needed that bubblewrap alone would need. /proc is mounted for the dynamic loader,
which reads the link /proc/self/exe to resolve $ORIGIN; containers that hide parts of their own /proc refuse that
mount, and get the jail. Namespaces add what the jail cannot: other processes and files do not exist at all, and the
kernel ends them together.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_DEVICES = ("null", "zero", "full", "random", "urandom")


def bubblewrap(program: str, readable: Iterable[Path], writable: Iterable[Path]) -> tuple[str, ...]:
    """The command line to put before the launcher's. Every path keeps its name inside.

    What is both readable and writable is writable, as it is to Landlock.
    """
    command = [program, "--unshare-user", "--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"]
    mounts = dict.fromkeys(readable, "--ro-bind") | dict.fromkeys(writable, "--bind")
    for path, option in sorted(mounts.items()):  # a parent comes before what is mounted below it
        if path.is_symlink() and path.parent == Path("/"):
            command += ["--symlink", str(path.readlink()), str(path)]  # /bin, /lib on a merged /usr
        else:
            command += [option, str(path.resolve()), str(path)]
    for device in _DEVICES:
        command += ["--dev-bind", f"/dev/{device}", f"/dev/{device}"]
    return (*command, "--proc", "/proc", "--remount-ro", "/", "--")
