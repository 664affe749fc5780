"""Run many schedules on all cores: `make simulate RUNS=10000 SEED=1`; see README.md."""

from __future__ import annotations

import argparse
import gc
import logging
import os
import sys
import time
from collections.abc import Iterable
from concurrent.futures import ProcessPoolExecutor

from schedule import Outcome, run

_BATCH = 50
_GARBAGE = 100_000
_SHOWN = 5


def main() -> int:
    """1 when an invariant does not hold; the first such schedule is shown event by event."""
    given = _arguments()
    started = time.perf_counter()
    outcomes = list(_outcomes(range(given.seed, given.seed + given.runs), given.processes))
    seconds = time.perf_counter() - started
    broken = [outcome for outcome in outcomes if outcome.violations]
    if given.trace or broken:
        _prepare()
        run(broken[0].seed if broken else given.seed, trace=print)
    for outcome in broken[:_SHOWN]:
        print(f"\nseed {outcome.seed} fails; again alone: make simulate RUNS=1 SEED={outcome.seed}")
        print("\n".join(f"  {line}" for line in outcome.violations))
    print(
        f"seed {given.seed}: {len(outcomes)} schedules, {sum(o.tasks for o in outcomes)} tasks, "
        f"{sum(o.calls for o in outcomes)} publications, {sum(o.virtual_seconds for o in outcomes) / 3600:.0f} "
        f"simulated hours in {seconds:.1f} s ({len(outcomes) / seconds:.0f} schedules/s): {len(broken)} failed"
    )
    return 1 if broken else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the first schedule; the others count up from it")
    parser.add_argument("--processes", type=int, default=os.cpu_count())
    parser.add_argument("--trace", action="store_true", help="show the first schedule event by event")
    return parser.parse_args()


def _outcomes(seeds: range, processes: int) -> Iterable[Outcome]:
    if processes == 1:
        _prepare()
        yield from map(run, seeds)
        return
    with ProcessPoolExecutor(processes, initializer=_prepare) as pool:
        yield from pool.map(run, seeds, chunksize=_BATCH)


def _prepare() -> None:
    """What a run need not pay for; the services log each fault, which costs more than the fault."""
    logging.disable(logging.CRITICAL)
    gc.freeze()
    gc.set_threshold(_GARBAGE)  # tasks and futures are cycles: the default looks for them all the time


if __name__ == "__main__":
    sys.exit(main())
