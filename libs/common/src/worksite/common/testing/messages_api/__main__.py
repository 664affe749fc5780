"""`python -m worksite.common.testing.messages_api SCRIPT.json --port 8088`: a server of its own for whole stacks.

Prints its address, then a line of its books for each response as JSON, so that others can compare them with theirs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import asdict
from pathlib import Path

from pydantic_core import to_json
from worksite.common.llm import Script
from worksite.common.testing.messages_api import Limits, MessagesApi, serving

_LOOK_SECONDS = 0.05


def main() -> None:
    """Until it is stopped."""
    parser = argparse.ArgumentParser(prog="messages_api")
    parser.add_argument("script", type=Path)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--requests-per-minute", type=float, default=float("inf"))
    parser.add_argument("--input-tokens-per-minute", type=float, default=float("inf"))
    parser.add_argument("--output-tokens-per-minute", type=float, default=float("inf"))
    given = parser.parse_args()
    limits = Limits(given.requests_per_minute, given.input_tokens_per_minute, given.output_tokens_per_minute)
    api = MessagesApi(Script.model_validate_json(given.script.read_text()), limits=limits)
    with asyncio.Runner() as runner:
        try:
            runner.run(_serve(api, given.port))
        except KeyboardInterrupt:
            sys.exit(0)


async def _serve(api: MessagesApi, port: int) -> None:
    async with serving(api, port) as url:
        print(url, flush=True)
        told = 0
        while True:
            for line in api.ledger[told:]:
                print(to_json(asdict(line), fallback=lambda usage: usage.model_dump()).decode(), flush=True)
                told += 1
            await asyncio.sleep(_LOOK_SECONDS)


if __name__ == "__main__":
    main()
