"""Confine this process for good and become the candidate: `python -I -S jail.py SPEC`, SPEC being one JSON object.

A program of its own, standard library only: it runs as the sandbox user, before the candidate, and is never imported.
It reports on the pipe `REPORT_FD`, which closes when the candidate starts: one line `ready`, or `step: reason` and
then the exit status `FAILED`. So a launcher that failed cannot be taken for a candidate that failed.
"""

# ruff: noqa: PTH112, PTH116 - pathlib would double the start-up time of this program

from __future__ import annotations

import base64
import ctypes
import json
import os
import resource
import signal
import struct
import sys

RESULT_FD, REPORT_FD, NOTIFY_FD = 3, 4, 5
FAILED = 125
SPARE_TASKS = 256

PR_SET_PDEATHSIG, PR_SET_NO_NEW_PRIVS = 1, 38
SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER = 1, 8
SYSCALL_SECCOMP = {"x86_64": 317, "aarch64": 277}
LANDLOCK_CREATE_RULESET, LANDLOCK_ADD_RULE, LANDLOCK_RESTRICT_SELF = 444, 445, 446
LANDLOCK_CREATE_RULESET_VERSION, LANDLOCK_RULE_PATH_BENEATH = 1, 1

# Rights of landlock(7).
EXECUTE, WRITE_FILE, READ_FILE, READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
MAKE_CHAR, MAKE_SOCK, MAKE_BLOCK = 1 << 6, 1 << 9, 1 << 11
REFER, TRUNCATE, IOCTL_DEV = 1 << 13, 1 << 14, 1 << 15
RIGHTS_OF_ABI_1 = (1 << 13) - 1
RIGHTS_OF_FILES = EXECUTE | WRITE_FILE | READ_FILE | TRUNCATE | IOCTL_DEV
TCP_BIND_AND_CONNECT, ABSTRACT_SOCKETS_AND_SIGNALS = 3, 3

DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

libc = ctypes.CDLL(None, use_errno=True)


def main() -> None:
    spec = json.loads(sys.argv[1])
    step = "limits"
    try:
        prepare(spec)
        if spec["confined"]:
            step = "landlock"
            restrict_files(spec["readable"], spec["writable"])
            step = "seccomp"
            restrict_calls(base64.b64decode(spec["filter"]), spec["notify"])
        step = "exec"
        os.chdir(spec["workspace"])
        report("ready")
        os.execvpe(spec["argv"][0], spec["argv"], spec["env"])  # noqa: S606 - this is the point
    except Exception as error:
        report(f"{step}: {error}")
        os._exit(FAILED)


def report(line: str) -> None:
    os.write(REPORT_FD, line.replace("\n", " ").encode() + b"\n")


def call(name: str, result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")
    return result


def prepare(spec: dict) -> None:
    call("prctl(PR_SET_PDEATHSIG)", libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0))
    call("prctl(PR_SET_NO_NEW_PRIVS)", libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
    os.closerange(NOTIFY_FD + spec["notify"], resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    os.set_inheritable(REPORT_FD, False)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # Python ignores them, and ignoring is inherited
        signal.signal(number, signal.SIG_DFL)
    set_limits(spec["limits"], tasks_of_this_user() if spec["count_tasks"] else 0)


def tasks_of_this_user() -> int:
    """RLIMIT_NPROC counts every task of the user, so those that already run are added to it, and some that may follow:
    the keeper counts what belongs to the run."""
    tasks = SPARE_TASKS
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                if entry.stat().st_uid == os.getuid():
                    tasks += os.stat(f"/proc/{entry.name}/task").st_nlink - 2
            except OSError:
                continue  # ended meanwhile
    return tasks


def set_limits(limits: dict[str, int], tasks: int) -> None:
    for kind, soft, hard in (
        (resource.RLIMIT_AS, limits["memory_bytes"], limits["memory_bytes"]),
        (resource.RLIMIT_CPU, limits["cpu_seconds"], limits["cpu_seconds"] + 1),
        (resource.RLIMIT_FSIZE, limits["file_bytes"], limits["file_bytes"]),
        (resource.RLIMIT_NOFILE, limits["open_files"], limits["open_files"]),
        (resource.RLIMIT_NPROC, limits["processes"] + tasks, limits["processes"] + tasks),
        (resource.RLIMIT_CORE, 0, 0),
        (resource.RLIMIT_MEMLOCK, 0, 0),
        (resource.RLIMIT_MSGQUEUE, 0, 0),
    ):
        ceiling = resource.getrlimit(kind)[1]
        if ceiling != resource.RLIM_INFINITY:
            soft, hard = min(soft, ceiling), min(hard, ceiling)
        resource.setrlimit(kind, (soft, hard))


def landlock_abi() -> int:
    """The version of Landlock that this kernel offers; 0 if none."""
    return max(0, libc.syscall(LANDLOCK_CREATE_RULESET, None, 0, LANDLOCK_CREATE_RULESET_VERSION))


def restrict_files(readable: list[str], writable: list[str]) -> None:
    abi = landlock_abi()
    handled = RIGHTS_OF_ABI_1
    for since, right in ((2, REFER), (3, TRUNCATE), (5, IOCTL_DEV)):
        handled |= right if abi >= since else 0
    attributes = struct.pack("QQQ", handled, TCP_BIND_AND_CONNECT, ABSTRACT_SOCKETS_AND_SIGNALS)
    attributes = attributes[: 24 if abi >= 6 else 16 if abi >= 4 else 8]
    ruleset = call(
        "landlock_create_ruleset",
        libc.syscall(LANDLOCK_CREATE_RULESET, attributes, len(attributes), 0),
    )
    everything = handled & ~(MAKE_CHAR | MAKE_BLOCK | MAKE_SOCK | IOCTL_DEV)
    for paths, rights in (
        (readable, EXECUTE | READ_FILE | READ_DIR),
        (writable, everything),
        (DEVICES, READ_FILE | WRITE_FILE),
    ):
        for path in paths:
            allow(ruleset, path, rights & handled)
    call("landlock_restrict_self", libc.syscall(LANDLOCK_RESTRICT_SELF, ruleset, 0))
    os.close(ruleset)


def allow(ruleset: int, path: str, rights: int) -> None:
    beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
    if not os.path.isdir(path):
        rights &= RIGHTS_OF_FILES
    rule = struct.pack("=Qi", rights, beneath)
    call(
        f"landlock_add_rule({path})",
        libc.syscall(LANDLOCK_ADD_RULE, ruleset, LANDLOCK_RULE_PATH_BENEATH, rule, 0),
    )
    os.close(beneath)


def restrict_calls(program: bytes, notify: bool) -> None:
    """Install the filter; with `notify`, hand its listener to the keeper through the socket NOTIFY_FD."""
    code = ctypes.create_string_buffer(program)
    filter_ = struct.pack("HxxxxxxP", len(program) // 8, ctypes.addressof(code))
    number = SYSCALL_SECCOMP[os.uname().machine]
    flags = SECCOMP_FILTER_FLAG_NEW_LISTENER if notify else 0
    listener = call("seccomp", libc.syscall(number, SECCOMP_SET_MODE_FILTER, flags, filter_))
    if notify:
        import socket

        with socket.socket(fileno=NOTIFY_FD) as keeper:
            socket.send_fds(keeper, [b"l"], [listener])
        os.close(listener)


if __name__ == "__main__":
    main()
