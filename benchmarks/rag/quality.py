"""How well and how fast is knowledge found? Worksite over its public API, beside other engines on the same collections.

    python -m benchmarks.rag.quality FOLDER... [--peer NAME=PYTHON]...

Each FOLDER is a collection in the layout of BEIR. For each an embedded stack is started whose rate limits are out of
reach; its documents go in by `POST /v1/knowledge/documents` and every query is asked by `POST /v1/search` in four ways.
Then each peer does the same in its own process, without any stack. Ends with the means over the collections, and with
status 1 when hybrid search or the reranker does not hold what we claim for it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path

from worksite.cli.commands_evaluation import Measured, measure
from worksite.cli.session import Session
from worksite.cli.stack.embedded import Ports, running_stack
from worksite.cli.stack.log import StackLog
from worksite.cli.stack.state import State
from worksite.common.retrieval.collections import Collection, read_collection
from worksite.common.retrieval.evaluation import Row

from benchmarks.rag.peer import Peer
from benchmarks.rag.results import Line, print_head, print_line, print_means, worth_it
from benchmarks.table import machine

ROOT = Path(__file__).parents[2]
TENANT, ALL_YOU_WANT = "bench", "1000000"
LIMITS = [f"{what}_PER_{whom}" for what in ("RATE", "BURST") for whom in ("PRINCIPAL", "TENANT", "ADDRESS")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", type=Path, nargs="+", metavar="FOLDER")
    parser.add_argument("--peer", type=Peer.parse, action="append", default=[], dest="peers", metavar="NAME=PYTHON")
    asked = parser.parse_args()
    os.environ.update(dict.fromkeys(LIMITS, ALL_YOU_WANT))
    collections = {folder.resolve(): read_collection(folder.resolve()) for folder in asked.folders}
    changed = [f"{name}={value}" for name, value in sorted(os.environ.items()) if name.startswith("RAG_")]
    print(f"\nrag: {machine()}; settings: {', '.join(changed) or 'the defaults'}\n")
    print_head()
    rows = list(measured(collections, asked.peers))
    print()
    print_means(rows)
    sys.exit(0 if worth_it(rows) else 1)


def measured(collections: Mapping[Path, Collection], peers: Sequence[Peer]) -> Iterator[Row]:
    """Ours first; each is printed as soon as it is known."""
    for collection in collections.values():
        for line in ours(collection):
            print_line(line)
            yield line.row
    for (folder, collection), peer in product(collections.items(), peers):
        print_line(line := peer.measure(folder, collection))
        yield line.row


def ours(collection: Collection) -> list[Line]:
    """On a stack of its own, so that no collection is searched beside another."""
    load = os.getloadavg()[0]
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(on_a_stack(collection, Path(name)))
    said = f"{collection.name}: {found.reranked} of {len(collection.queries)} reranked in time, {found.cached} cached"
    print(said, file=sys.stderr)
    documents = len(collection.documents)
    return [Line(row, documents, found.chunks, found.ingest_seconds, load) for row in found.rows]


async def on_a_stack(collection: Collection, folder: Path) -> Measured:
    """The documents stay: they go with the folder."""
    state = State(folder)
    with StackLog(state.log) as log:
        async with running_stack(state, ROOT, Ports(0, 0), log.write):
            return await measure(collection, Session(folder, TENANT), keep=True)


if __name__ == "__main__":
    main()
