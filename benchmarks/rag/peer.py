"""Another engine on the same collection: a program below `peers/`, run with the Python of its own environment."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from worksite.cli.commands_evaluation import DEPTH
from worksite.common.retrieval.collections import Collection
from worksite.common.retrieval.evaluation import Ranking, Way, evaluate

from benchmarks.rag.results import Line

PROGRAMS = Path(__file__).parent / "peers"


@dataclass(frozen=True)
class Peer:
    """Which program, and the Python that has what it needs."""

    name: str
    python: Path

    @classmethod
    def parse(cls, text: str) -> Peer:
        """`NAME=PYTHON`. Raises ArgumentTypeError."""
        name, _, python = text.partition("=")
        known = sorted(file.stem.removesuffix("_hybrid") for file in PROGRAMS.glob("*_hybrid.py"))
        if name not in known or not Path(python).is_file():
            raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PYTHON; names: {', '.join(known)}")
        return cls(name, Path(python))

    def measure(self, folder: Path, collection: Collection) -> Line:
        """Its answers, judged as ours are. Raises CalledProcessError when the program fails."""
        load = os.getloadavg()[0]
        command = [str(self.python), str(PROGRAMS / f"{self.name}_hybrid.py"), str(folder)]
        printed = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
        found = json.loads(printed.splitlines()[-1])
        answers = {text: found["answers"][query] for query, text in collection.queries.items()}

        async def ask(text: str, _: Way) -> Ranking:
            return Ranking(answers[text]["documents"], answers[text]["milliseconds"])

        (row,) = asyncio.run(evaluate(collection, ask, DEPTH, [Way("hybrid")]))
        row = replace(row, way=found["system"])
        return Line(row, len(collection.documents), found["passages"], found["ingest_seconds"], load)
