"""What `worksite rag backup` and `worksite rag restore` do: rag's own program, while no stack runs on the state."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Literal

from worksite.cli.stack.errors import StateInUse, explained
from worksite.cli.stack.state import State

_INHERITED = ("PATH", "LANG", "RAG_COLLECTION", "QDRANT_HOST")


async def run(what: Literal["create", "restore"], archive: Path, state: State) -> bool:
    """False when it could not be done; the program has said why. Raises StateInUse, StateUnusable."""
    descriptor = _locked(state)
    try:
        if what == "restore":
            with explained(state.root):
                state.prepare()
        environment = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        environment["STATE_DIR"] = str(state.of("rag"))
        argv = (sys.executable, "-m", "worksite.rag.backup", what, str(archive))
        program = await asyncio.create_subprocess_exec(*argv, env=environment)
        try:
            return await program.wait() == 0
        finally:
            if program.returncode is None:
                program.terminate()
                await program.wait()
    finally:
        os.close(descriptor)


def _locked(state: State) -> int:
    """So that no stack is started meanwhile."""
    try:
        return state.lock()
    except StateInUse as error:
        raise StateInUse(
            f"{error}. Its index cannot be copied or replaced while it runs: stop the stack (Ctrl-C in its terminal), "
            "run this again, then start it; tasks that are unfinished go on then"
        ) from None
