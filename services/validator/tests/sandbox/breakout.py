"""Everything a hostile program may try, run in the sandbox by `test_sandbox_escapes.py`: `python breakout.py TARGETS`.

Each attempt runs in a process of its own. The result is one JSON object: attempt -> "escaped", or the error that
stopped it.
"""

# ruff: noqa: PTH101, PTH102, PTH104, PTH108, PTH115, PTH120, PTH123, PTH208, PTH211, SIM115 - the attempts are system calls

from __future__ import annotations

import ctypes
import errno
import json
import os
import resource
import signal
import socket
import struct
import sys
from collections.abc import Callable
from typing import Any

TARGETS: dict[str, Any] = json.loads(sys.argv[1])
SECRET, VICTIM, SERVICE = TARGETS["secret"], TARGETS["victim"], TARGETS["service"]
libc = ctypes.CDLL(None, use_errno=True)
ATTEMPTS: dict[str, Callable[[], object]] = {}
NULL = ctypes.c_void_p(0)
MACHINE = os.uname().machine


def attempt(name: str) -> Callable[[Callable[[], object]], Callable[[], object]]:
    def register(function: Callable[[], object]) -> Callable[[], object]:
        ATTEMPTS[name] = function
        return function

    return register


def call(x86_64: int, arm64: int, *arguments: Any) -> int:
    result = libc.syscall(x86_64 if MACHINE == "x86_64" else arm64, *arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def c(name: str, *arguments: Any) -> int:
    result = getattr(libc, name)(*arguments)
    if result < 0:
        raise OSError(ctypes.get_errno(), "")
    return result


def read(path: str) -> None:
    with open(path, "rb") as file:
        assert file.read(1)


# Files
attempt("read a secret")(lambda: read(SECRET))
attempt("read /etc/passwd")(lambda: read("/etc/passwd"))
attempt("list the directory of a secret")(lambda: os.listdir(os.path.dirname(SECRET)))
attempt("overwrite a secret")(lambda: os.close(os.open(SECRET, os.O_WRONLY)))
attempt("append to a secret")(lambda: os.close(os.open(SECRET, os.O_WRONLY | os.O_APPEND)))
attempt("truncate a secret")(lambda: os.truncate(SECRET, 1))
attempt("remove a file")(lambda: os.unlink(TARGETS["disposable"]))
attempt("move a file into the workspace")(lambda: os.rename(TARGETS["disposable"], "moved"))
attempt("make a file outside")(lambda: os.close(os.open(SECRET + ".new", os.O_CREAT | os.O_WRONLY)))
attempt("make a directory outside")(lambda: os.mkdir(SECRET + ".dir"))
attempt("make a pipe outside")(lambda: os.mkfifo(SECRET + ".fifo"))
attempt("change the mode of a secret")(lambda: os.chmod(SECRET, 0o604))
attempt("change the times of a secret")(lambda: os.utime(SECRET, (1, 1)))
attempt("set an attribute of a secret")(lambda: os.setxattr(SECRET, "user.mark", b"x"))
attempt("chown a secret")(lambda: os.chown(SECRET, os.getuid(), os.getgid()))
attempt("change the mode of a readable file")(lambda: os.fchmod(os.open(TARGETS["readable"], os.O_RDONLY), 0o606))
attempt("write to a readable tree")(lambda: os.close(os.open(TARGETS["readable"], os.O_WRONLY)))
attempt("write to /tmp")(lambda: os.close(os.open(TARGETS["temporary"], os.O_CREAT | os.O_WRONLY)))
attempt("write to /dev/shm")(lambda: os.close(os.open(TARGETS["in_memory"], os.O_CREAT | os.O_WRONLY)))
attempt("write to /proc/sys")(lambda: os.open("/proc/sys/kernel/core_pattern", os.O_WRONLY))
attempt("make a device")(lambda: os.mknod("device", 0o020666, os.makedev(1, 3)))


@attempt("read a secret through a symbolic link")
def _() -> None:
    os.symlink(SECRET, "link")
    read("link")


@attempt("hard-link a secret into the workspace")
def _() -> None:
    os.link(SECRET, "hard")
    read("hard")


@attempt("change a mode through a symbolic link")
def _() -> None:
    os.symlink(SECRET, "mode-link")
    os.chmod("mode-link", 0o604)


@attempt("change a mode through a path descriptor")
def _() -> None:
    descriptor = os.open(SECRET, os.O_PATH)
    call(452, 452, descriptor, b"", 0o604, 0x1000)  # fchmodat2(..., AT_EMPTY_PATH)


@attempt("watch a directory")
def _() -> None:
    watch = c("inotify_init1", 0)
    c("inotify_add_watch", watch, os.path.dirname(SECRET).encode(), 0x100)


@attempt("open a file by handle")
def _() -> None:
    handle = ctypes.create_string_buffer(struct.pack("Ii", 128, 0) + b"\0" * 128)
    call(303, 264, -100, SECRET.encode(), handle, ctypes.byref(ctypes.c_int()), 0)


# Environments
attempt("read the environment of the service")(lambda: read(f"/proc/{SERVICE}/environ"))
attempt("read the environment of a process of the same user")(lambda: read(f"/proc/{VICTIM}/environ"))
attempt("read the environment of process 1")(lambda: read("/proc/1/environ"))
attempt("read the memory of a process of the same user")(lambda: read(f"/proc/{VICTIM}/maps"))
attempt("see where a process of the same user works")(lambda: os.readlink(f"/proc/{VICTIM}/cwd"))
attempt("see what a process of the same user has open")(lambda: os.listdir(f"/proc/{VICTIM}/fd"))


@attempt("see other processes")
def _() -> None:
    assert str(SERVICE) in os.listdir("/proc")


# Network
def connect(family: int, kind: int, address: Any) -> None:
    with socket.socket(family, kind) as client:
        client.settimeout(1)
        client.connect(address)
        client.send(b"x")


INET, UNIX, STREAM, DATAGRAM = socket.AF_INET, socket.AF_UNIX, socket.SOCK_STREAM, socket.SOCK_DGRAM
attempt("connect by TCP")(lambda: connect(INET, STREAM, ("127.0.0.1", TARGETS["port"])))
attempt("send by UDP")(lambda: connect(INET, DATAGRAM, ("127.0.0.1", TARGETS["port"])))
attempt("connect to a unix socket")(lambda: connect(UNIX, STREAM, TARGETS["stream"]))
attempt("connect to an abstract socket")(lambda: connect(UNIX, STREAM, "\0" + TARGETS["abstract"]))
attempt("send to a unix socket")(lambda: connect(UNIX, DATAGRAM, TARGETS["datagram"]))
attempt("resolve a name")(lambda: socket.getaddrinfo("example.com", 80))
attempt("open a netlink socket")(lambda: socket.socket(socket.AF_NETLINK, socket.SOCK_RAW))
attempt("open a kernel crypto socket")(lambda: socket.socket(socket.AF_ALG, socket.SOCK_SEQPACKET))
attempt("open a vsock socket")(lambda: socket.socket(socket.AF_VSOCK, STREAM))
attempt("open an IPv6 socket")(lambda: socket.socket(socket.AF_INET6, STREAM))


@attempt("listen by TCP")
def _() -> None:
    socket.create_server(("127.0.0.1", 0))


def datagram_pair() -> socket.socket:
    return socket.socketpair(UNIX, DATAGRAM)[0]


attempt("send to a unix socket from a socket pair")(lambda: datagram_pair().sendto(b"x", TARGETS["datagram"]))
attempt("reconnect a stream pair")(lambda: socket.socketpair()[0].connect(TARGETS["stream"]))
attempt("reconnect a datagram pair")(lambda: datagram_pair().connect(TARGETS["datagram"]))

# Other processes
attempt("signal the service")(lambda: os.kill(SERVICE, 0))
attempt("signal a process of the same user")(lambda: os.kill(VICTIM, 0))
attempt("kill a process of the same user")(lambda: os.kill(TARGETS["disposable_process"], signal.SIGKILL))
attempt("signal a thread of the same user")(lambda: call(234, 131, VICTIM, VICTIM, 0))
attempt("limit a process of the same user")(lambda: resource.prlimit(VICTIM, resource.RLIMIT_NOFILE, (9, 9)))
attempt("renice a process of the same user")(lambda: os.setpriority(os.PRIO_PROCESS, VICTIM, 19))
attempt("renice every process of the user")(lambda: os.setpriority(os.PRIO_USER, 0, 19))
attempt("pin a process of the same user")(lambda: os.sched_setaffinity(VICTIM, {0}))
attempt("schedule a process of the same user")(lambda: os.sched_setscheduler(VICTIM, os.SCHED_BATCH, os.sched_param(0)))
attempt("delay the disk of a process of the same user")(lambda: call(251, 30, 1, VICTIM, 0x6000))
attempt("delay the disk of every process of the user")(lambda: call(251, 30, 3, os.getuid(), 0x6000))
attempt("trace a process of the same user")(lambda: call(101, 117, 0x4206, VICTIM, 0, 0))  # PTRACE_SEIZE


@attempt("read foreign memory")
def _() -> None:
    buffer = ctypes.create_string_buffer(8)
    local = struct.pack("PN", ctypes.addressof(buffer), 8)
    remote = struct.pack("PN", TARGETS["address"], 8)
    call(310, 270, VICTIM, local, 1, remote, 1, 0)


@attempt("steal a descriptor")
def _() -> None:
    call(438, 438, os.pidfd_open(VICTIM), 0, 0)


# The kernel
FLAGS_USER, FLAGS_MOUNT = 0x10000000, 0x00020000
attempt("make a user namespace")(lambda: call(272, 97, FLAGS_USER))
attempt("make a mount namespace")(lambda: call(272, 97, FLAGS_USER | FLAGS_MOUNT))


@attempt("clone into a user namespace")
def _() -> None:
    child = call(56, 220, FLAGS_USER | signal.SIGCHLD, 0, 0, 0, 0)
    if child == 0:
        os._exit(0)


attempt("mount")(lambda: c("mount", b"none", b".", b"tmpfs", 0, 0))
attempt("change the root")(lambda: os.chroot("."))
attempt("use io_uring")(lambda: call(425, 425, 4, ctypes.create_string_buffer(120)))
attempt("make memory outside the address space")(lambda: os.memfd_create("x"))
attempt("make secret memory")(lambda: call(447, 447, 0))
attempt("use the kernel's keyring")(lambda: call(250, 219, 0, -3, 1))
attempt("load a BPF program")(lambda: call(321, 280, 0, ctypes.create_string_buffer(72), 72))
attempt("handle page faults")(lambda: call(323, 282, 1))
attempt("use performance counters")(
    lambda: call(298, 241, ctypes.create_string_buffer(struct.pack("II", 1, 112) + b"\0" * 104), 0, -1, -1, 0)
)
attempt("share memory by key")(lambda: c("shmget", 0, 4096, 0o1600))
attempt("remove shared memory of the same user")(lambda: c("shmctl", TARGETS["segment"], 0, NULL))
attempt("make a message queue")(lambda: c("msgget", 0, 0o1600))
attempt("make a semaphore")(lambda: c("semget", 0, 1, 0o1600))
attempt("make a POSIX queue")(lambda: call(240, 180, b"breakout", 0o102, 0o600, NULL))
attempt("change the personality")(lambda: call(135, 92, 0x0040000))
attempt("add a system call filter")(lambda: call(317, 277, 2, 0, struct.pack("I", 0)))
attempt("become root")(lambda: os.setresuid(0, 0, 0))
attempt("lower the out-of-memory score")(lambda: open("/proc/self/oom_score_adj", "w").write("0"))


def raise_limit(name: str) -> None:
    kind = getattr(resource, name)
    hard = resource.getrlimit(kind)[1]
    resource.setrlimit(kind, (hard + 1, hard + 1))


for limit in ("NOFILE", "AS", "NPROC", "FSIZE", "CORE", "CPU", "MEMLOCK"):
    attempt(f"raise the limit {limit}")(lambda name=f"RLIMIT_{limit}": raise_limit(name))


def outcome(function: Callable[[], object]) -> str:
    """Run in a child, which a forbidden call may kill."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        signal.alarm(4)
        try:
            function()
            said = "escaped"
        except OSError as error:
            said = errno.errorcode.get(error.errno or 0, type(error).__name__)
        except BaseException as error:
            said = type(error).__name__
        os.write(write_end, said.encode())
        os._exit(0)
    os.close(write_end)
    said = os.read(read_end, 100).decode()
    os.close(read_end)
    status = os.waitpid(child, 0)[1]
    return said or f"died with {status}"


report = json.dumps({name: outcome(function) for name, function in ATTEMPTS.items()})
os.write(int(os.environ["WORKSITE_RESULT_FD"]), report.encode())
