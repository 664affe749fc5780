"""What do token, policy and limit cost? The gateway against a bare FastAPI route, at the same fixed rates, in one run.

    python benchmarks/gateway.py [--seconds N]

Asked for is a task whose id cannot be one: the token is verified, the policy asked, the request counted, the error
document written, and the bus left alone. Times count from when a request was due, whether or not it could be sent.
Client, gateway and bare route are three processes that share the machine; only one of the two serves at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import Generator
from pathlib import Path

import http_load
import processes
from table import machine, milliseconds, print_table
from worksite.common.bus import Bus, BusSettings, provision
from worksite.common.processes import free_port
from worksite.common.testing import start_nats

RATES = (200, 500, 1000)
WARM_UP = 300
PATH = "/v1/tasks/none"


@contextlib.contextmanager
def servers(directory: Path) -> Generator[dict[str, tuple[int, str]]]:
    """Port and token of each."""
    with start_nats(directory) as nats:
        asyncio.run(provisioned(nats.url))
        port = free_port()
        bare = processes.service("benchmarks.gateway_bare", directory, {"BENCH_PORT": str(port)})
        with processes.gateway(nats.url, directory) as gateway, bare:
            processes.wait_until_ready(f"http://127.0.0.1:{port}{PATH}", directory)
            yield {"bare FastAPI route": (port, "-"), "gateway": gateway}


async def provisioned(url: str) -> None:
    bus = await Bus.connect(BusSettings(url, "bench"))
    await provision(bus, 1 << 30)
    await bus.close()


def measure(port: int, token: str, rate: int, seconds: float) -> list[str]:
    asked = http_load.request("GET", PATH, token)
    asyncio.run(http_load.at_a_rate(port, asked, 100, WARM_UP))
    took = asyncio.run(http_load.at_a_rate(port, asked, rate, int(rate * seconds)))
    return [f"{milliseconds(took, percentile):.2f}" for percentile in (50, 99)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each rate and server")
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as name, servers(Path(name)) as running:
        print(f"\ngateway: {seconds:.0f} s at each rate; {machine()}\n")
        rows = [
            [server, str(rate), *measure(port, token, rate, seconds)]
            for rate in RATES
            for server, (port, token) in running.items()
        ]
    print_table(["", "requests/s", "p50 ms", "p99 ms"], rows)


if __name__ == "__main__":
    main()
