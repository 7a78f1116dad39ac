"""Calls made ahead of their taker in one thread, in order: the next clip is read while a model is busy with this one.

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
    """Give an iterator over (key, future) in the order of `calls`, of which up to `count` wait or run in advance.

    calls: (key, function without arguments); drawn from in the taker's thread, so that one `ahead` may feed on another
    and what lies between them works where it always did. An error is raised by the `result()` of its own future alone.
    Leaving the context, whichever way, begins no further call and waits for those that were handed over.
    """
    if count < 1:
        raise ValueError(f"count: got {count}, expected at least 1 call in advance.")
    waiting: deque[tuple[Key, Future[Result]]] = deque()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="ahead") as thread:

        def taken() -> Iterator[tuple[Key, Future[Result]]]:
            for key, call in calls:
                waiting.append((key, thread.submit(call)))
                if len(waiting) > count:
                    yield waiting.popleft()
            while waiting:
                yield waiting.popleft()

        yield taken()
