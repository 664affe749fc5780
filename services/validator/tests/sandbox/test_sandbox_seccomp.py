"""The filter decides alike on both architectures; a small BPF machine runs it here."""

from __future__ import annotations

import errno
import struct

import pytest
from worksite.validator.sandbox.seccomp import UnsupportedMachine, filter_program

ALLOW, NOTIFY, KILL, ERRNO = 0x7FFF0000, 0x7FC00000, 0x80000000, 0x00050000
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
NUMBERS = {  # x86_64, aarch64, from the kernel's tables
    "read": (0, 63),
    "openat": (257, 56),
    "clone": (56, 220),
    "clone3": (435, 435),
    "execve": (59, 221),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "connect": (42, 203),
    "ptrace": (101, 117),
    "mount": (165, 40),
    "io_uring_setup": (425, 425),
    "memfd_create": (319, 279),
    "ioctl": (16, 29),
    "prlimit64": (302, 261),
    "setpriority": (141, 140),
    "ioprio_set": (251, 30),
    "sched_setaffinity": (203, 122),
    "fchmodat": (268, 53),
    "utimensat": (280, 88),
    "chown": (92, None),
    "fchownat": (260, 54),
}
both = pytest.mark.parametrize("machine", list(ARCHITECTURES))


def decide(machine: str, number: int, *arguments: int, arch: int | None = None, notify: bool = False) -> int:
    """What the filter returns for one call: classic BPF as in the kernel's `net/core/filter.c`, as far as used."""
    program = filter_program(machine, notify_attributes=notify)
    data = struct.pack(
        "<IIQ6Q", number, ARCHITECTURES[machine] if arch is None else arch, 0, *arguments, *[0] * (6 - len(arguments))
    )
    accumulator = position = 0
    while True:
        code, if_true, if_false, operand = struct.unpack_from("<HBBI", program, position * 8)
        position += 1
        if code == 0x20:
            accumulator = struct.unpack_from("<I", data, operand)[0]
        elif code == 0x54:
            accumulator &= operand
        elif code == 0x06:
            return operand
        else:
            holds = {0x15: accumulator == operand, 0x25: accumulator > operand, 0x45: accumulator & operand}[code]
            position += if_true if holds else if_false


def call(machine: str, name: str, *arguments: int, notify: bool = False) -> int:
    number = NUMBERS[name][list(ARCHITECTURES).index(machine)]
    assert number is not None
    return decide(machine, number, *arguments, notify=notify)


@both
@pytest.mark.parametrize("name", ["read", "openat", "execve", "fchmodat", "utimensat"])
def test_ordinary_calls_are_allowed(machine: str, name: str) -> None:
    assert call(machine, name) == ALLOW


@both
@pytest.mark.parametrize("name", ["ptrace", "mount", "io_uring_setup", "memfd_create", "connect", "fchownat"])
def test_dangerous_calls_are_refused(machine: str, name: str) -> None:
    assert call(machine, name) == ERRNO | errno.EPERM


@both
def test_another_architecture_kills(machine: str) -> None:
    assert decide(machine, 0, arch=0x40000003) == KILL


@both
@pytest.mark.parametrize("number", [470, 0x40000000, 0x40000000 + 59, 0xFFFFFFFF])
def test_unknown_calls_do_not_exist(machine: str, number: int) -> None:
    assert decide(machine, number) == ERRNO | errno.ENOSYS


@both
def test_clone3_does_not_exist_so_that_clone_is_used(machine: str) -> None:
    assert call(machine, "clone3") == ERRNO | errno.ENOSYS


@both
def test_threads_and_children_are_allowed_but_no_namespaces(machine: str) -> None:
    assert call(machine, "clone", 0x003D0F00) == ALLOW
    assert call(machine, "clone", 17) == ALLOW
    for flag in (0x00020000, 0x02000000, 0x04000000, 0x08000000, 0x10000000, 0x20000000, 0x40000000):
        assert call(machine, "clone", flag | 17) == ERRNO | errno.EPERM


@both
@pytest.mark.parametrize("family", [0, 1, 2, 10, 16, 38, 40])
def test_no_socket_of_any_family(machine: str, family: int) -> None:
    assert call(machine, "socket", family, 1) == ERRNO | errno.EAFNOSUPPORT


@both
def test_pairs_are_unix_streams(machine: str) -> None:
    cloexec = 0o2000000
    assert call(machine, "socketpair", 1, 1 | cloexec) == ALLOW
    assert call(machine, "socketpair", 1, 2 | cloexec) == ERRNO | errno.EAFNOSUPPORT
    assert call(machine, "socketpair", 30, 1) == ERRNO | errno.EAFNOSUPPORT


@both
def test_input_cannot_be_pushed_into_a_terminal(machine: str) -> None:
    assert call(machine, "ioctl", 0, 0x5412) == ERRNO | errno.EPERM
    assert call(machine, "ioctl", 0, 0x541C) == ERRNO | errno.EPERM
    assert call(machine, "ioctl", 0, 0x5413) == ALLOW


@both
@pytest.mark.parametrize("name", ["prlimit64", "sched_setaffinity"])
def test_a_process_changes_only_itself(machine: str, name: str) -> None:
    assert call(machine, name, 0) == ALLOW
    assert call(machine, name, 4242) == ERRNO | errno.EPERM


@both
def test_a_process_renices_only_itself(machine: str) -> None:
    process, user = 0, 2
    assert call(machine, "setpriority", process, 0, 5) == ALLOW
    assert call(machine, "setpriority", process, 4242, 5) == ERRNO | errno.EPERM
    assert call(machine, "setpriority", user, 0, 5) == ERRNO | errno.EPERM
    assert call(machine, "ioprio_set", 1, 0) == ALLOW
    assert call(machine, "ioprio_set", 3, 0) == ERRNO | errno.EPERM


@both
@pytest.mark.parametrize("name", ["fchmodat", "utimensat"])
def test_attributes_wait_for_the_keeper_where_asked(machine: str, name: str) -> None:
    assert call(machine, name, notify=True) == NOTIFY


def test_a_call_of_one_architecture_is_not_taken_for_another() -> None:
    assert decide("aarch64", 92) == ERRNO | errno.EPERM  # personality there, chown on x86_64
    assert decide("aarch64", 101) == ALLOW  # nanosleep there, ptrace on x86_64


def test_an_unknown_machine_is_named() -> None:
    with pytest.raises(UnsupportedMachine, match="riscv64"):
        filter_program("riscv64", notify_attributes=False)
