"""The inside of a process that works on files of other people, with parsers of other people.

It is called with an argument for the work and the seconds of processor time that it may take. The file comes on
standard input, the result goes to standard output; with exit status 1, the reason instead. Before anything is read the
process gives up the right to more memory, time and output than a file may take.
"""

from __future__ import annotations

import logging
import resource
import sys
from collections.abc import Callable

MEMORY_BYTES = 1 << 30


class Refused(Exception):
    """A file that will not be worked on; the text is for whoever owns it."""


def serve(work: Callable[[bytes, str], str], output_bytes: int) -> None:
    """Do one piece of work and exit."""
    give_up_rights(int(sys.argv[2]), output_bytes)
    try:
        text, status = work(sys.stdin.buffer.read(), sys.argv[1]), 0
    except Refused as error:
        text, status = str(error), 1
    except MemoryError:
        text, status = f"it takes more than the {MEMORY_BYTES >> 20} MiB of memory that a file may take", 1
    except Exception as error:  # parsers have kinds of their own
        text, status = " ".join(f"{type(error).__name__}: {error}".split())[:300], 1
    sys.stdout.buffer.write(text.encode(errors="replace"))
    sys.stdout.buffer.flush()
    sys.exit(status)


def give_up_rights(processor_seconds: int, output_bytes: int) -> None:
    """For good, and for whatever this process starts."""
    logging.disable()
    for what, limit in (
        (resource.RLIMIT_AS, MEMORY_BYTES),
        (resource.RLIMIT_CPU, processor_seconds),
        (resource.RLIMIT_FSIZE, output_bytes),
        (resource.RLIMIT_NOFILE, 64),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(what, (limit, limit))
