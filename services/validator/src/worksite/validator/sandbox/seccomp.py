"""The system call filter, as a classic BPF program for `seccomp(2)`.

Landlock decides about files, TCP, signals and abstract sockets. This filter closes what it does not see: other socket
families and path-name sockets, memory outside the accounted address space, foreign processes, kernel keyrings, new
namespaces, System V IPC, and kernel interfaces that no test suite needs. Refused calls fail with an errno, so that a
program can go on; calls newer than this table fail with ENOSYS, for which libc has fallbacks.

Numbers: Linux `arch/x86/entry/syscalls/syscall_64.tbl` and `include/uapi/asm-generic/unistd.h` (arm64).
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable
from dataclasses import dataclass

NEWEST_KNOWN_SYSCALL = 469  # file_setattr, Linux 6.17; also keeps out the x32 numbers (from 0x40000000)

_REFUSED = {  # name: (x86_64, arm64); None where the architecture has no such call
    # other processes
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "pidfd_getfd": (438, 438), "process_madvise": (440, 440), "process_mrelease": (448, 448),
    "migrate_pages": (256, 238), "move_pages": (279, 239), "mbind": (237, 235), "set_mempolicy": (238, 237),
    "set_mempolicy_home_node": (450, 450),
    # memory that no limit counts, and calls that bypass this filter
    "memfd_create": (319, 279), "memfd_secret": (447, 447), "userfaultfd": (323, 282),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    # System V and POSIX message IPC: shared by all processes of a user
    "shmget": (29, 194), "shmctl": (31, 195), "shmat": (30, 196), "msgget": (68, 186), "msgctl": (71, 187),
    "msgrcv": (70, 188), "msgsnd": (69, 189), "semget": (64, 190), "semctl": (66, 191), "semop": (65, 193),
    "semtimedop": (220, 192), "mq_open": (240, 180), "mq_unlink": (241, 181),
    # addresses of sockets: only connected pairs exist in here
    "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    # mounts and namespaces
    "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51), "unshare": (272, 97),
    "setns": (308, 268), "open_tree": (428, 428), "open_tree_attr": (467, 467), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "statmount": (457, 457), "listmount": (458, 458),
    # files by handle, names of files elsewhere, attributes that Landlock does not guard
    "name_to_handle_at": (303, 264), "open_by_handle_at": (304, 265), "fanotify_init": (300, 262),
    "inotify_init": (253, None), "inotify_init1": (294, 26), "lookup_dcookie": (212, 18),
    "chown": (92, None), "lchown": (94, None), "fchown": (93, 55), "fchownat": (260, 54),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "setxattrat": (463, 463),
    "removexattr": (197, 14), "lremovexattr": (198, 15), "fremovexattr": (199, 16), "removexattrat": (466, 466),
    "file_setattr": (469, 469), "quotactl": (179, 60), "quotactl_fd": (443, 443), "acct": (163, 89),
    # the kernel itself
    "add_key": (248, 217), "request_key": (249, 218), "keyctl": (250, 219), "bpf": (321, 280),
    "perf_event_open": (298, 241), "seccomp": (317, 277), "personality": (135, 92), "syslog": (103, 116),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104),
    "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224), "swapoff": (168, 225),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266),
    "sethostname": (170, 161), "setdomainname": (171, 162), "vhangup": (153, 58), "iopl": (172, None),
    "ioperm": (173, None), "modify_ldt": (154, None),
}  # fmt: skip

_UNKNOWN = {"clone3": (435, 435), "fchmodat2": (452, 452)}  # libc falls back to calls whose arguments can be seen

_ATTRIBUTES = {  # handed to the keeper where there is no mount namespace: see keeper/attributes.py
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "utimensat": (280, 88),
}  # fmt: skip
_OLD_ATTRIBUTES = {"utime": (132, None), "utimes": (235, None), "futimesat": (261, None)}

_AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}

_KILL_PROCESS, _ERRNO, _NOTIFY, _ALLOW = 0x80000000, 0x00050000, 0x7FC00000, 0x7FFF0000
_LOAD, _EQUAL, _GREATER, _ANY_BIT, _AND, _RETURN = 0x20, 0x15, 0x25, 0x45, 0x54, 0x06
_NUMBER, _ARCH, _ARGUMENTS = 0, 4, 16  # offsets in struct seccomp_data; both architectures are little-endian

_NEW_NAMESPACES = 0x7E020000  # CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET
_TIOCSTI, _TIOCLINUX = 0x5412, 0x541C
_AF_UNIX, _SOCK_DGRAM, _TYPE_MASK = 1, 2, 0xF
_PRIO_PROCESS, _IOPRIO_WHO_PROCESS = 0, 1


class UnsupportedMachine(Exception):
    """There is no system call table for this processor."""


@dataclass(frozen=True)
class _Test:
    """Compare the low half of one argument (its kernel type is an int): refuse the call when `refuse_if` holds."""

    argument: int
    operator: int
    value: int
    refuse_if: bool
    mask: int | None = None


_CONDITIONAL = {  # (x86_64, arm64), errno, tests: the call is refused when any test says so
    "clone": ((56, 220), errno.EPERM, (_Test(0, _ANY_BIT, _NEW_NAMESPACES, True),)),
    "ioctl": (
        (16, 29),
        errno.EPERM,
        (_Test(1, _EQUAL, _TIOCSTI, True), _Test(1, _EQUAL, _TIOCLINUX, True)),
    ),
    "socket": ((41, 198), errno.EAFNOSUPPORT, (_Test(0, _GREATER, 0, True), _Test(0, _EQUAL, 0, True))),
    # A datagram pair could still be pointed at a path-name socket by sendto(2); a connected stream cannot.
    "socketpair": (
        (53, 199),
        errno.EAFNOSUPPORT,
        (_Test(0, _EQUAL, _AF_UNIX, False), _Test(1, _EQUAL, _SOCK_DGRAM, True, _TYPE_MASK)),
    ),
    # These act on any process of the same user; pid 0 is the caller itself.
    "prlimit64": ((302, 261), errno.EPERM, (_Test(0, _EQUAL, 0, False),)),
    "sched_setaffinity": ((203, 122), errno.EPERM, (_Test(0, _EQUAL, 0, False),)),
    "sched_setscheduler": ((144, 119), errno.EPERM, (_Test(0, _EQUAL, 0, False),)),
    "sched_setparam": ((142, 118), errno.EPERM, (_Test(0, _EQUAL, 0, False),)),
    "sched_setattr": ((314, 274), errno.EPERM, (_Test(0, _EQUAL, 0, False),)),
    # Here 0 may also mean "every process of my user" (PRIO_USER), so the kind is checked too.
    "setpriority": (
        (141, 140),
        errno.EPERM,
        (_Test(0, _EQUAL, _PRIO_PROCESS, False), _Test(1, _EQUAL, 0, False)),
    ),
    "ioprio_set": (
        (251, 30),
        errno.EPERM,
        (_Test(0, _EQUAL, _IOPRIO_WHO_PROCESS, False), _Test(1, _EQUAL, 0, False)),
    ),
}


def filter_program(machine: str, *, notify_attributes: bool) -> bytes:
    """The filter for `machine` (`platform.machine()`), as an array of `struct sock_filter`.

    With `notify_attributes`, changes of file modes and times wait for a decision of the keeper.
    Raises `UnsupportedMachine`.
    """
    if machine not in _AUDIT_ARCH:
        raise UnsupportedMachine(f"no system call table for {machine}; known: {', '.join(_AUDIT_ARCH)}")
    column = list(_AUDIT_ARCH).index(machine)
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_EQUAL, _AUDIT_ARCH[machine], if_true=1),
        _instruction(_RETURN, _KILL_PROCESS),
        _instruction(_LOAD, _NUMBER),
        _instruction(_GREATER, NEWEST_KNOWN_SYSCALL, if_false=1),
        _instruction(_RETURN, _ERRNO | errno.ENOSYS),
    ]
    program += _verdicts(_REFUSED.values(), column, _ERRNO | errno.EPERM)
    program += _verdicts(_UNKNOWN.values(), column, _ERRNO | errno.ENOSYS)
    if notify_attributes:
        program += _verdicts(_ATTRIBUTES.values(), column, _NOTIFY)
        program += _verdicts(_OLD_ATTRIBUTES.values(), column, _ERRNO | errno.ENOSYS)
    for numbers, error, tests in _CONDITIONAL.values():
        program += _conditional(numbers[column], error, tests)
    program.append(_instruction(_RETURN, _ALLOW))
    return b"".join(program)


def _instruction(code: int, operand: int, *, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("HBBI", code, if_true, if_false, operand)


def _verdicts(calls: Iterable[tuple[int | None, int | None]], column: int, verdict: int) -> list[bytes]:
    program: list[bytes] = []
    for numbers in calls:
        number = numbers[column]
        if number is not None:
            program += [_instruction(_EQUAL, number, if_false=1), _instruction(_RETURN, verdict)]
    return program


def _conditional(number: int, error: int, tests: tuple[_Test, ...]) -> list[bytes]:
    body: list[bytes] = []
    for test in tests:
        body.append(_instruction(_LOAD, _ARGUMENTS + 8 * test.argument))
        if test.mask is not None:
            body.append(_instruction(_AND, test.mask))
        skip = {"if_false": 1} if test.refuse_if else {"if_true": 1}
        body += [_instruction(test.operator, test.value, **skip), _instruction(_RETURN, _ERRNO | error)]
    body.append(_instruction(_RETURN, _ALLOW))
    return [_instruction(_EQUAL, number, if_false=len(body)), *body]
