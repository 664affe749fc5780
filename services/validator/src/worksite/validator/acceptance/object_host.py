"""The candidate's side of the pipe: its functions and objects over JSON lines. Standard library only.

Runs in the sandbox, in one process with the candidate, so nothing here is a secret and nothing here decides anything.

    in   {"steps": [{"do": "load", "target": "module:name"} |
                    {"do": "call", "object": number, "arguments", "named"} | {"do": "get", "object", "name"} |
                    {"do": "item", "object", "key"} | {"do": "length" | "list" | "text", "object"}]}
    out  {"ready": true}; then per line {"outcomes": [{"value"} | {"raised": {"types": [names], "text"}}]}

Steps of one line are taken at once, on a thread each; a step alone is taken on the same thread as every other alone,
because some objects (those of sqlite3, say) insist on it. What can be awaited is awaited, on one event loop.
"""

# values.py lies beside this file there, which a type checker cannot know.
# pyright: reportMissingImports=false

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import os
import sys
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))
import values

del sys.path[0], sys.modules["values"]

MAX_LINE = 16 << 20
MAX_ITEMS = 100_000
MAX_THREADS = 32

Step = dict[str, Any]


class Objects:
    """What the examiner has been told of, by number."""

    def __init__(self) -> None:
        self._kept: list[Any] = []
        self._alone = ThreadPoolExecutor(1)
        self._together = ThreadPoolExecutor(MAX_THREADS)

    async def take(self, steps: list[Step]) -> list[dict[str, Any]]:
        """Coroutines begin together only after everything has been called, so that they can get in each other's way."""
        threads = self._alone if len(steps) == 1 else self._together
        loop = asyncio.get_running_loop()
        taken = await asyncio.gather(*(loop.run_in_executor(threads, self._attempt, step) for step in steps))
        return await asyncio.gather(*(self._outcome(result, error) for result, error in taken))

    def _attempt(self, step: Step) -> tuple[Any, BaseException | None]:
        """A future of asyncio's does not take every exception, so none is raised here."""
        try:
            return self._result(step), None
        except BaseException as error:
            return None, error

    async def _outcome(self, result: Any, error: BaseException | None) -> dict[str, Any]:
        try:
            if error is not None:
                raise error
            result = await result if inspect.isawaitable(result) else result
            return {"value": values.encode(result, self._keep)}
        except BaseException as raised:
            traceback.print_exc()
            types = [kind.__name__ for kind in type(raised).__mro__]
            return {"raised": {"types": types, "text": str(raised)[:2000]}}

    def _keep(self, value: Any) -> int:
        self._kept.append(value)
        return len(self._kept) - 1

    def _result(self, step: Step) -> Any:
        if step["do"] == "load":
            return load(step["target"])
        found = self._kept[step["object"]]
        match step["do"]:
            case "call":
                return found(*self._given(step["arguments"]), **self._given(step["named"]))
            case "get":
                return getattr(found, step["name"])
            case "item":
                return found[self._given(step["key"])]
            case "list":
                return list(islice(found, MAX_ITEMS))
            case "length":
                return len(found)
            case _:
                return str(found)

    def _given(self, document: Any) -> Any:
        return values.decode(document, self._kept.__getitem__)


def load(target: str) -> Any:
    module, _, attribute = target.partition(":")
    value: Any = importlib.import_module(module)
    for name in filter(None, attribute.split(".")):
        value = getattr(value, name)
    return value


async def serve(send: Callable[[dict[str, Any]], None]) -> None:
    objects = Objects()
    send({"ready": True})
    reader = asyncio.StreamReader(limit=MAX_LINE)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin.buffer)
    while line := await reader.readline():
        send({"outcomes": await objects.take(json.loads(line)["steps"])})


def main() -> None:
    config = json.loads(sys.argv[1])
    pipe = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the candidate prints must not run into the protocol

    def send(message: dict[str, Any]) -> None:
        pipe.write(json.dumps(message).encode() + b"\n")
        pipe.flush()

    sys.path[:0] = config["import_roots"]
    sys.path += config["packages"]
    asyncio.run(serve(send))


if __name__ == "__main__":
    main()
