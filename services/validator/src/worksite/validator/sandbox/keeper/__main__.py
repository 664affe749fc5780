"""Keep one run within its bounds, and end it whole: `python -I -S keeper CONTROL_FD RESULT_FD`.

A program of its own, standard library only, one per run. It stands between the service and the sandbox as the "child
subreaper" (prctl(2)): whatever the run starts, however it daemonises, stays its descendant and no other run's, so it
can be measured and killed without touching anybody else. If the service dies, the control socket closes and the run
ends. The keeper has the user id of the service, outside every restriction of the sandbox.

On the control socket it reads one JSON line, the order; it answers `{"started": true}` and at last the report. The end
of its input is the order to stop.
"""

# ruff: noqa: PTH123 - pathlib would double the start-up time of this program
# Python puts a directory that it runs on its search path, which a type checker cannot know.
# pyright: reportMissingImports=false

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import select
import signal
import socket
import sys
import time
from typing import Any

from attributes import AttributeBroker
from disk import DiskWatch
from processes import descendants, memory_exceeds, reap, sweep

RESULT_FD, REPORT_FD, NOTIFY_FD = 3, 4, 5  # the child's side, as in jail.py
PR_SET_CHILD_SUBREAPER = 36
SPAWN_FAILED = 126
POLL_SECONDS = 0.05
POLL_SHARE = 4  # rest at least so many times as long as the last measurement took
DISK_EVERY = 3  # polls
SPARE_TASKS = 8  # the launcher's and bubblewrap's own


def main() -> None:
    control = socket.socket(fileno=int(sys.argv[1]))
    order = json.loads(read_line(control))
    if ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0:
        raise OSError("prctl(PR_SET_CHILD_SUBREAPER) failed")
    try:
        report = Run(order, control, int(sys.argv[2])).supervise()
    except Exception as error:
        report = {"failed": f"keeper: {error!r}"}
    answer(control, report)


def read_line(control: socket.socket) -> bytes:
    line = b""
    while not line.endswith(b"\n"):
        chunk = control.recv(1 << 16)
        if not chunk:
            sys.exit(0)  # the service is gone before anything started
        line += chunk
    return line


def readable(descriptors: set[int], seconds: float) -> set[int]:
    poll = select.poll()
    for descriptor in descriptors:
        poll.register(descriptor, select.POLLIN)
    return {descriptor for descriptor, _ in poll.poll(seconds * 1000)}


def answer(control: socket.socket, message: dict[str, Any]) -> None:
    try:
        control.sendall(json.dumps(message).encode() + b"\n")
    except OSError:
        return  # the service is gone; the run is swept all the same


class Run:
    """One candidate from start to sweep."""

    def __init__(self, order: dict[str, Any], control: socket.socket, result_fd: int) -> None:
        self.order = order
        self.control = control
        self.statuses: dict[int, int] = {}
        self.started_at = time.monotonic()
        self.disk = DiskWatch(order["watched"], order["disk_bytes"])
        self.report, report_end = os.pipe()
        self.reported = b""
        channel, channel_end = socket.socketpair()
        self.broker = AttributeBroker(channel, order["watched"], order["uid"]) if order["notify"] else None
        self.pid = spawn(order, {RESULT_FD: result_fd, REPORT_FD: report_end, NOTIFY_FD: channel_end.fileno()})
        channel_end.close()
        os.close(report_end)
        os.close(result_fd)
        nothing = os.open("/dev/null", os.O_RDWR)
        for standard in (0, 1, 2):
            os.dup2(nothing, standard)  # so that the pipes close when the run ends
        self.pidfd = os.pidfd_open(self.pid)

    def supervise(self) -> dict[str, Any]:
        try:
            stopped = self.watch()
        finally:
            seconds, free = time.monotonic() - self.started_at, self.disk.free()
            sweep(self.statuses)
        self.read_report()
        status = self.statuses[self.pid]
        failure = self.launch_failure(status)
        if stopped == "disk" and not self.disk.is_to_blame(self.disk.free() - free):
            failure = "disk: others filled it so fast that this run had to be stopped"
        if failure:
            return {"failed": failure}
        return {"stopped": stopped, "seconds": seconds, **self.ending(status)}

    def watch(self) -> str | None:
        """Wait for the end of the candidate; the reason if it has to be stopped before."""
        deadline = self.started_at + self.order["wall_seconds"]
        measure_at, measured = self.started_at + POLL_SECONDS, 0
        self.waiting = {self.control.fileno(), self.pidfd, self.report}
        if self.broker:
            self.waiting.add(self.broker.descriptor)
        while (now := time.monotonic()) < deadline:
            ready = readable(self.waiting, max(0, min(measure_at, deadline) - now))
            if self.control.fileno() in ready:
                return "cancelled"
            self.attend(ready)
            if self.pidfd in ready:
                return None
            before = time.monotonic()
            if before >= measure_at:
                measured += 1
                if excess := self.measure(with_disk=measured % DISK_EVERY == 0):
                    return excess
                now = time.monotonic()
                measure_at = now + max(POLL_SECONDS, POLL_SHARE * (now - before))
        return "wall_clock"

    def attend(self, ready: set[int]) -> None:
        """Serve the launcher and the candidate."""
        if self.report in ready:
            self.waiting.discard(self.report)
            self.announce()
        if self.broker and self.broker.descriptor in ready:
            self.waiting.discard(self.broker.descriptor)
            if self.broker.serve():
                self.waiting.add(self.broker.descriptor)

    def measure(self, *, with_disk: bool) -> str | None:
        reap(self.statuses)
        alive = descendants()
        if sum(alive.values()) > self.order["processes"] + SPARE_TASKS:
            return "processes"
        if memory_exceeds(alive, self.order["total_memory_bytes"]):
            return "memory"
        return "disk" if with_disk and self.disk.exceeded() else None

    def announce(self) -> None:
        self.read_report()
        if self.reported == b"ready\n":
            answer(self.control, {"started": True})

    def read_report(self) -> None:
        """Take what the launcher has written so far; it writes whole lines, far below the size of the pipe."""
        while readable({self.report}, 0):
            chunk = os.read(self.report, 4096)
            if not chunk:
                return
            self.reported += chunk

    def launch_failure(self, status: int) -> str | None:
        """`step: reason` unless the candidate itself was running."""
        if self.reported == b"ready\n":
            return None
        if self.reported:
            return self.reported.decode(errors="replace").splitlines()[-1]
        return f"{self.order['first_step']}: ended with {self.ending(status)} before the program started"

    def ending(self, status: int) -> dict[str, int | None]:
        code = os.waitstatus_to_exitcode(status)
        if code > 128 and self.order["first_step"] == "namespaces":
            code = 128 - code  # bubblewrap tells a signal as 128 + its number
        return {"exit_code": code if code >= 0 else None, "signal": -code if code < 0 else None}


def spawn(order: dict[str, Any], descriptors: dict[int, int]) -> int:
    """Start the launcher as the sandbox user, with `descriptors` at their fixed numbers."""
    pid = os.fork()
    if pid:
        return pid
    report = REPORT_FD
    try:
        high = {target: fcntl.fcntl(source, fcntl.F_DUPFD, 64) for target, source in descriptors.items()}
        report = high[REPORT_FD]
        with open("/proc/self/oom_score_adj", "w") as score:
            score.write("1000")  # when memory runs out, the candidate goes first
        if order["uid"] is not None:
            os.setgroups([])
            os.setresgid(order["uid"], order["uid"], order["uid"])
            os.setresuid(order["uid"], order["uid"], order["uid"])
        os.setsid()
        for target, source in high.items():
            os.dup2(source, target)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(number, signal.SIG_DFL)
        os.closerange(NOTIFY_FD + 1, 1 << 16)
        os.execve(order["argv"][0], order["argv"], order["env"])  # noqa: S606
    except Exception as error:
        os.write(report, f"spawn: {error}\n".encode())
    os._exit(SPAWN_FAILED)


if __name__ == "__main__":
    main()
