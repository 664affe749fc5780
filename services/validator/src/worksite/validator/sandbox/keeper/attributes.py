"""Changes of file modes and times, carried out on the candidate's behalf, and only on its own files.

Landlock does not guard chmod(2) and utimensat(2). Without a mount namespace a candidate could therefore close or open
up every file of its user, who may be the service's. So the filter hands these calls to the keeper (seccomp_unotify(2)),
which opens the file, looks where it really is, and changes that open file: nothing the candidate does meanwhile can
redirect it.
"""

# ruff: noqa: PTH101, PTH115, PTH116, PTH118, PTH123 - pathlib would double the start-up time of this program

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

NOTIF_RECV, NOTIF_SEND, NOTIF_ID_VALID = 0xC0502100, 0xC0182101, 0x40082102
NOTIFICATION = struct.Struct("=QIIiIQ6Q")  # id, pid, flags; number, architecture, instruction, arguments
RESPONSE = struct.Struct("=QqiI")  # id, value, error, flags
TIMES = struct.Struct("=qqqq")

CALLS = {
    "x86_64": {90: "chmod", 91: "fchmod", 268: "fchmodat", 280: "utimensat"},
    "aarch64": {52: "fchmod", 53: "fchmodat", 88: "utimensat"},
}
AT_FDCWD = -100
AT_SYMLINK_NOFOLLOW = 0x100
UTIME_NOW, UTIME_OMIT = 0x3FFFFFFF, 0x3FFFFFFE
PATH_MAX, PAGE = 4096, os.sysconf("SC_PAGE_SIZE")


class AttributeBroker:
    """Serves one run. Until the launcher has sent the listener, `descriptor` is the socket it will come by."""

    def __init__(self, channel: socket.socket, writable: list[str], uid: int | None) -> None:
        self.channel = channel
        self.uid = uid
        self.listener: int | None = None
        self.calls = CALLS[os.uname().machine]
        self.own = [os.path.realpath(tree) + "/" for tree in writable]

    @property
    def descriptor(self) -> int:
        """What to wait for."""
        return self.channel.fileno() if self.listener is None else self.listener

    def serve(self) -> bool:
        """Take the listener, or one call. False when nothing more will come."""
        if self.listener is None:
            _, received, _, _ = socket.recv_fds(self.channel, 1, 1)
            self.listener = received[0] if received else None
            return self.listener is not None
        notification = bytearray(NOTIFICATION.size)
        try:
            fcntl.ioctl(self.listener, NOTIF_RECV, notification)
        except OSError as error:
            return error.errno in (errno.EINTR, errno.ENOENT)  # the caller was killed meanwhile
        request, pid, _, number, _, _, *arguments = NOTIFICATION.unpack(notification)
        refused = self.carry_out(request, pid, self.calls[number], arguments)
        try:
            fcntl.ioctl(self.listener, NOTIF_SEND, RESPONSE.pack(request, 0, -refused, 0))
        except FileNotFoundError:
            return True  # the caller was killed meanwhile
        return True

    def carry_out(self, request: int, pid: int, name: str, arguments: list[int]) -> int:
        """Do what was asked, with the rights of the candidate; the errno for the caller."""
        try:
            with acting_as(self.uid):
                self.change(request, pid, name, arguments)
        except OSError as error:
            return error.errno or errno.EPERM
        except OverflowError:  # of a time
            return errno.EINVAL
        return 0

    def change(self, request: int, pid: int, name: str, arguments: list[int]) -> None:
        if name == "chmod":
            arguments = [AT_FDCWD, *arguments[:2]]
        elif name == "fchmod":
            arguments = [arguments[0], 0, arguments[1]]
        directory, path, value = arguments[:3]
        follow = not (name == "utimensat" and arguments[3] & AT_SYMLINK_NOFOLLOW)
        wanted = read_path(pid, path) if path else b""
        times = read_memory(pid, value, TIMES.size) if name == "utimensat" and value else b""
        target = open_for(pid, directory, wanted, follow)
        try:
            fcntl.ioctl(self.listener or -1, NOTIF_ID_VALID, struct.pack("=Q", request))
            here = f"/proc/self/fd/{target}"
            if not f"{os.readlink(here)}/".startswith(tuple(self.own)):
                raise PermissionError(errno.EPERM, "outside the workspace")
            if name == "utimensat":
                os.utime(here, ns=new_times(times, os.stat(here)))
            else:
                os.chmod(here, value & 0o7777)
        finally:
            os.close(target)


@contextmanager
def acting_as(uid: int | None) -> Iterator[None]:
    """Take on another user's rights for a moment. The real user stays, so that no signal of theirs gets through."""
    if uid is None:
        yield
        return
    own, own_group = os.geteuid(), os.getegid()
    os.setegid(uid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(own)
        os.setegid(own_group)


def open_for(pid: int, directory: int, path: bytes, follow: bool) -> int:
    """The file that `path` means to thread `pid`. Opening by O_PATH has no effects, whatever the file is."""
    number = struct.unpack("=i", struct.pack("=I", directory & 0xFFFFFFFF))[0]
    base = f"/proc/{pid}/cwd" if number == AT_FDCWD else f"/proc/{pid}/fd/{number}"
    whole = os.path.join(os.fsencode(base), path) if path else os.fsencode(base)
    return os.open(whole, os.O_PATH | os.O_CLOEXEC | (0 if follow else os.O_NOFOLLOW))


def read_path(pid: int, address: int) -> bytes:
    text = b""
    while b"\0" not in text and len(text) < PATH_MAX:
        start = address + len(text)
        text += read_memory(pid, start, PAGE - start % PAGE)  # the next page may not be mapped
    path, end, _ = text.partition(b"\0")
    if not end or len(path) >= PATH_MAX:
        raise OSError(errno.ENAMETOOLONG, "path too long")
    if not path:
        raise FileNotFoundError(errno.ENOENT, "empty path")
    return path


def read_memory(pid: int, address: int, size: int) -> bytes:
    with open(f"/proc/{pid}/mem", "rb", buffering=0) as memory:
        try:
            data = os.pread(memory.fileno(), size, address)
        except (OSError, OverflowError):
            data = b""
    if len(data) < size:
        raise OSError(errno.EFAULT, "bad address")
    return data


def new_times(encoded: bytes, present: os.stat_result) -> tuple[int, int]:
    """Access and modification time in nanoseconds, from two `struct timespec`; none means now."""
    now = time.time_ns()
    if not encoded:
        return now, now
    seconds_a, nanos_a, seconds_m, nanos_m = TIMES.unpack(encoded)
    return (
        moment(seconds_a, nanos_a, now, present.st_atime_ns),
        moment(seconds_m, nanos_m, now, present.st_mtime_ns),
    )


def moment(seconds: int, nanos: int, now: int, present: int) -> int:
    special = {UTIME_NOW: now, UTIME_OMIT: present}
    return special.get(nanos, seconds * 1_000_000_000 + nanos)
