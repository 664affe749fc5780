"""Reads source files and says which are not well-formed; a program of its own, run by `workbench.py`.

Nothing of them is executed. A process, not a thread: what a parser does with a hostile text, it does here.
Standard input: path to text, as JSON. Standard output: one line for each fault.
"""

from __future__ import annotations

import ast
import json
import resource
import sys
import tomllib

MAX_SECONDS = 20
_MAX_MEMORY_BYTES = 1 << 30


def main() -> None:
    """Until every file was read."""
    resource.setrlimit(resource.RLIMIT_AS, (_MAX_MEMORY_BYTES, _MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_SECONDS, MAX_SECONDS))
    for path, text in sorted(json.load(sys.stdin).items()):
        if fault := fault_of(path, text):
            print(f"{path}: {fault}")


def fault_of(path: str, text: str) -> str | None:
    """What is wrong with a file of a kind that can be read."""
    try:
        if path.endswith(".py"):
            ast.parse(text)
        elif path.endswith(".json"):
            json.loads(text)
        elif path.endswith(".toml"):
            tomllib.loads(text)
    except SyntaxError as error:
        return f"line {error.lineno}: {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return f"{type(error).__name__}: {error}"
    return None


if __name__ == "__main__":
    main()
