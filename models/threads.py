"""Work on arrays in two threads: NumPy lets go of the interpreter while it computes.

What belongs here: how many threads, and results in the order of what was asked. What does not: any estimate.
"""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

THREADS = 2

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(function: Callable[[Item], Result], items: Iterable[Item]) -> list[Result]:
    """``function`` of every item, in their order, `THREADS` at a time.

    Raises what ``function`` raises first. The function must not depend on what is computed before or beside it, so that
    the results are the same whatever the threads do.
    """
    with ThreadPoolExecutor(max_workers=THREADS) as pool:
        return list(pool.map(function, items))
