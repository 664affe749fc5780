"""What do token, policy and limit cost? The gateway against a bare FastAPI route, at the same fixed rates, in one run.

    python benchmarks/gateway.py [--seconds N]

Asked for is a task whose id cannot be one: the token is verified, the policy asked, the request counted, the error
document written, and the bus left alone. Times count from when a request was due, whether or not it could be sent.
The rates are asked in blocks that alternate, so that a burst of other work does not fall on one of the two only.
Client, gateway and bare route are three processes that share the machine; only one of the two serves at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import Generator
from itertools import chain
from pathlib import Path

import http_load
import processes
import uvloop
from table import machine, milliseconds, print_table
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.processes import free_port
from worksite.common.testing import start_nats

RATES = (200, 500, 1000)
BLOCKS = 3
WARM_UP = 300
PATH = "/v1/tasks/none"
PROCESSES = {"bare FastAPI route": "benchmarks.gateway_bare", "gateway": "worksite.gateway.main"}


@contextlib.contextmanager
def servers(directory: Path) -> Generator[dict[str, tuple[int, str]]]:
    """Port and token of each."""
    with start_nats(directory) as nats:
        asyncio.run(provisioned(nats.url))
        port = free_port()
        bare = processes.service("benchmarks.gateway_bare", directory, {"BENCH_PORT": str(port)})
        with processes.gateway(nats.url, directory) as gateway, bare:
            processes.wait_until_ready(f"http://127.0.0.1:{port}{PATH}", directory)
            yield dict(zip(PROCESSES, ((port, "-"), gateway), strict=True))


async def provisioned(url: str) -> None:
    bus = await Bus.connect(BusSettings(url, "bench"))
    await provision(bus, 1 << 30)
    await bus.close()


def measure(name: str, port: int, token: str, rate: int, seconds: float) -> tuple[list[float], float]:
    """What each request took, and processor time of the server for all of them, in seconds."""
    asked, before = http_load.request("GET", PATH, token), processes.processor_seconds()[PROCESSES[name]]
    took = uvloop.run(http_load.at_a_rate(port, asked, rate, int(rate * seconds)))
    return list(took), processes.processor_seconds()[PROCESSES[name]] - before


def rows(running: dict[str, tuple[int, str]], seconds: float) -> Generator[list[str]]:
    for port, token in running.values():
        uvloop.run(http_load.at_a_rate(port, http_load.request("GET", PATH, token), 100, WARM_UP))
    for rate in RATES:
        blocks: dict[str, list[tuple[list[float], float]]] = {name: [] for name in running}
        for _ in range(BLOCKS):
            for name, place in running.items():
                blocks[name].append(measure(name, *place, rate, seconds / BLOCKS))
        for name, measured in blocks.items():
            yield [name, str(rate), *summed_up(measured)]


def summed_up(blocks: list[tuple[list[float], float]]) -> list[str]:
    took = list(chain.from_iterable(block for block, _ in blocks))
    best = min(milliseconds(block, 99) for block, _ in blocks)
    used = sum(used for _, used in blocks) / len(took) * 1e3
    return [f"{each:.2f}" for each in (milliseconds(took, 50), milliseconds(took, 99), best, used)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each rate and server")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as running:
        print(f"\ngateway: {seconds:.0f} s at each rate; {machine()}\n")
        head = ["", "requests/s", "p50 ms", "p99 ms", "p99 ms of the best block", "processor ms a request"]
        print_table(head, list(rows(running, seconds)))


if __name__ == "__main__":
    main()
