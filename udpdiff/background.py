"""Calls made in advance by one thread, in order: the next clip is read while a model is busy with this one.

What takes the time must release Python's interpreter lock, as decoding, compressing and reading do. Knows nothing about
what the calls do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


@contextmanager
def in_background(
    calls: Iterable[tuple[Key, Callable[[], Result]]], count: int = 2
) -> Iterator[Iterator[tuple[Key, Future[Result]]]]:
    """Give an iterator over (key, future) in the order of `calls`.

    Leaving the context, whichever way, begins no further call and waits for those that were handed over.

    Args:
        calls: (key, function without arguments); drawn from in the thread that iterates, so that one such iterator may
            feed on another and what lies between them works where it always did.
        count: How many calls wait or run in advance, at most.

    Yields:
        The iterator. An error is raised by the `result()` of its own future alone.

    Raises:
        ValueError: count is less than 1.
    """
    if count < 1:
        raise ValueError(f"count: got {count}, expected at least 1 call in advance.")
    waiting: deque[tuple[Key, Future[Result]]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="background") as thread:

        def results() -> Iterator[tuple[Key, Future[Result]]]:
            for key, call in calls:
                waiting.append((key, thread.submit(call)))
                if len(waiting) > count:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()

        yield results()
