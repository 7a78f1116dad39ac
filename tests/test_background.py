"""Calls in advance: in order, bounded, really beside whoever iterates, and ended cleanly whichever way that ends."""

from __future__ import annotations

import threading
from functools import partial

import pytest

from udpdiff.background import in_background

PATIENCE = 30  # seconds; only a failing test waits that long


def squares(numbers, begun=None):
    def square(number):
        if begun is not None:
            begun.append(number)
        if number == 3:
            raise ValueError("three")
        return number**2

    return ((number, partial(square, number)) for number in numbers)


def test_results_come_in_order_and_an_error_belongs_to_its_own_call():
    outcomes = {}
    with in_background(squares(range(6))) as results:
        for number, result in results:
            outcomes[number] = str(result.exception()) if result.exception() else result.result()
    assert list(outcomes.items()) == [(0, 0), (1, 1), (2, 4), (3, "three"), (4, 16), (5, 25)]


@pytest.mark.parametrize("count", [1, 3])
def test_never_more_in_advance_than_count(count):
    begun = []
    with in_background(squares(range(100), begun), count) as results:
        for received, (_, result) in zip(range(1, 10), results, strict=False):
            result.exception()
            assert len(begun) <= received + count
    assert len(begun) <= 9 + count, "nothing begins after the caller has left"


def test_the_next_call_runs_while_the_caller_is_busy():
    running, release = threading.Event(), threading.Event()

    def second():
        running.set()
        assert release.wait(PATIENCE)
        return threading.current_thread()

    with in_background([("first", threading.current_thread), ("second", second)]) as results:
        next(results)
        assert running.wait(PATIENCE), "the second call waits for the caller of the first"
        release.set()
        assert next(results)[1].result() is not threading.current_thread()


def test_what_lies_between_two_stages_runs_in_the_callers_thread():
    threads = set()

    def between(results):
        for number, result in results:
            threads.add(threading.current_thread())
            yield number, partial(float, result.result())

    with in_background(squares([1, 2])) as first, in_background(between(first)) as second:
        assert [result.result() for _, result in second] == [1.0, 4.0]
    assert threads == {threading.current_thread()}


def test_an_exception_of_the_caller_waits_for_what_was_begun():
    done, before = [], threading.active_count()
    calls = ((number, partial(done.append, number)) for number in range(100))
    with pytest.raises(KeyboardInterrupt), in_background(calls, 2) as results:
        next(results)
        raise KeyboardInterrupt
    assert done == [0, 1, 2]
    assert threading.active_count() == before


def test_count_is_checked():
    with pytest.raises(ValueError, match="count: got 0"), in_background([], 0):
        pass
