"""Many small pieces of work on several threads, with the results in order and bounded memory."""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

Piece = TypeVar("Piece")
Result = TypeVar("Result")


def in_order(
    function: Callable[[Piece], Result], pieces: Iterable[Piece], workers: int | None = None
) -> Iterator[Result]:
    """`map` on threads (Pillow and hashlib let others run meanwhile), at most two pieces a thread ahead.

    Whatever ends the iteration early, an error or Ctrl-C, waits for what is under way and starts nothing more.
    """
    workers = workers or os.cpu_count() or 1
    waiting = iter(pieces)
    ahead: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="fairdraw-data")
    try:
        ahead.extend(pool.submit(function, piece) for piece in islice(waiting, 2 * workers))
        while ahead:
            result = ahead.popleft().result()
            ahead.extend(pool.submit(function, piece) for piece in islice(waiting, 1))
            yield result
    finally:
        pool.shutdown(cancel_futures=True)


def ranges(count: int, length: int) -> Iterator[range]:
    """0 to `count` in stretches of `length`."""
    return (range(begin, min(begin + length, count)) for begin in range(0, count, length))
