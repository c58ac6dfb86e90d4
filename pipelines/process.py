"""The command's own process: how it keeps memory, and how it ends.

What belongs here: settings of the whole process, which only the command may choose. What does not: anything about a run.
"""

import atexit
import gc
import logging
import os
import sys
from collections.abc import Callable


def collect_rarely() -> None:
    """Look for garbage among Python's objects after many new ones.

    Nearly all that a run allocates stays until it ends (modules, Dagster's definitions and events). Python's default, to
    look through it after every 700 new objects, takes a good part of a short run.
    """
    gc.set_threshold(200_000, 20, 100)


def give_memory_back() -> None:
    """Have Arrow use the system's allocator, which returns what one table needed for DuckDB to use with the next.

    Arrow's own allocators keep it for themselves.
    """
    import pyarrow as pa

    pa.set_memory_pool(pa.system_memory_pool())


def run_and_end(command: Callable[[], None]) -> None:
    """Run ``command``, which ends with SystemExit, and end the process without taking apart what it built.

    Half a million objects destroyed one by one take two seconds, a tenth of a short run; the system takes their memory back
    at once. All that libraries asked for at the end (atexit) is done before, and what was printed is written.
    """
    codes: list[int] = []

    def end() -> None:
        if codes:
            logging.shutdown()
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(codes[0])

    # Registered before the command imports anything, and so called last.
    atexit.register(end)
    try:
        command()
    except SystemExit as ended:
        if isinstance(ended.code, int):
            codes.append(ended.code)
        raise
