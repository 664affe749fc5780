"""`python -m worksite.common.testing.messages_api SCRIPT.json --port 8088`: a server of its own for whole stacks.

Prints its address, then a line of its books for each response as JSON, so that others can compare them with theirs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from dataclasses import asdict
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import to_json
from worksite.common.llm import Script
from worksite.common.testing.messages_api import Limits, MessagesApi, serving
from worksite.common.testing.messages_api.api import TEST_KEY

_LOOK_SECONDS = 0.05


def main() -> None:
    """Until it is stopped. Exits with 2 and one line for a script that cannot be used, and for a port that is taken."""
    parser = _parser()
    given = parser.parse_args()
    limits = Limits(given.requests_per_minute, given.input_tokens_per_minute, given.output_tokens_per_minute)
    try:
        api = MessagesApi(_script(given.script), keys={given.key: "default"}, limits=limits)
        with asyncio.Runner() as runner:
            runner.run(_serve(api, given.port))
    except KeyboardInterrupt:
        sys.exit(0)
    except (OSError, UnicodeDecodeError, ValidationError) as error:
        parser.exit(2, f"messages_api: {_told(error)}\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="messages_api",
        description="Speaks the Messages API from a script, on 127.0.0.1. Prints what "
        "belongs into ANTHROPIC_BASE_URL, then for each response a line of JSON: what it would be billed for.",
        epilog="The form of the script, with an example: docs/models.md",
    )
    parser.add_argument("script", type=Path, metavar="SCRIPT.json", help="what is said in which conversation")
    parser.add_argument("--port", type=int, default=0, help="default: any free one")
    parser.add_argument("--key", default=TEST_KEY, help=f"the only one that it takes; default: {TEST_KEY}")
    limit = "what goes beyond is answered with 429; default: no limit"
    for what in ("requests", "input-tokens", "output-tokens"):
        said = f"{what.replace('-', ' ')} that it takes in a minute, for each model; {limit}"
        parser.add_argument(f"--{what}-per-minute", type=float, default=float("inf"), metavar="N", help=said)
    return parser


def _script(file: Path) -> Script:
    """Raises OSError, UnicodeDecodeError, ValidationError."""
    return Script.model_validate_json(file.read_text())


def _told(error: Exception) -> str:
    """In one line, with the first thing that is wrong."""
    if not isinstance(error, ValidationError):
        return str(error)
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"no script: {place + ': ' if place else ''}{first['msg']}"


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
