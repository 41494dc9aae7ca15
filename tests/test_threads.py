"""The threads in which coroutines have plain functions called: how many, and who waits for whom."""

from __future__ import annotations

import asyncio
import contextvars
import threading
import time

import pytest

from kolben.concurrency import in_thread, run_in_thread
from kolben.threads import Workers


def test_workers_grow_to_their_limit_and_no_further():
    pool = Workers(3)

    async def main():
        running = []
        most = []

        def work():
            running.append(1)
            most.append(len(running))
            time.sleep(0.02)
            running.pop()
            return threading.current_thread().name

        context = contextvars.copy_context
        jobs = [run_in_thread(context(), work, pool=pool) for _ in range(9)]
        names = await asyncio.gather(*jobs)
        return max(most), len(set(names))

    assert asyncio.run(main()) == (3, 3)
    threads = pool._threads
    pool.close(5)
    assert not any(thread.is_alive() for thread in threads)


def test_idle_thread_is_used_again():
    pool = Workers(10)

    async def main():
        names = set()
        for _ in range(20):
            name = await in_thread(lambda: threading.current_thread().name, pool=pool)
            names.add(name)
        return names

    assert len(asyncio.run(main())) <= 2
    pool.close(5)


async def _hand_over_short_ones(pool, number):
    results = await asyncio.gather(*[in_thread(len, "abc", pool=pool) for _ in range(number)])
    assert results == [3] * number


def test_short_functions_are_handed_over_in_batches():
    pool = Workers(10)

    async def main():
        await _hand_over_short_ones(pool, 40)  # from which the pool knows them
        loop = asyncio.get_running_loop()
        told = []
        tell = loop.call_soon_threadsafe
        loop.call_soon_threadsafe = lambda *args: (told.append(1), tell(*args))
        await _hand_over_short_ones(pool, 300)
        return len(told)

    assert asyncio.run(main()) < 150
    pool.close(5)


def test_nothing_waits_for_a_function_that_is_short_no_more():
    pool = Workers(10)
    may_end = threading.Event()

    async def main():
        await _hand_over_short_ones(pool, 40)
        before = [asyncio.create_task(in_thread(len, "ab", pool=pool)) for _ in range(3)]
        waiting = asyncio.create_task(in_thread(may_end.wait, 30, pool=pool))
        behind = [asyncio.create_task(in_thread(len, "a", pool=pool)) for _ in range(3)]
        await asyncio.wait([*before, *behind], timeout=20)
        done = [task.done() for task in (*before, waiting, *behind)]
        may_end.set()
        return done, await waiting

    for _ in range(20):
        may_end.clear()
        assert asyncio.run(main()) == ([True] * 3 + [False] + [True] * 3, True)
    pool.close(5)


def test_functions_that_wait_for_each_other_all_get_a_thread():
    pool = Workers(10)

    async def main():
        await _hand_over_short_ones(pool, 40)
        barrier = threading.Barrier(10)
        await asyncio.gather(*[in_thread(barrier.wait, 30, pool=pool) for _ in range(10)])

    asyncio.run(main())
    pool.close(5)


@pytest.mark.parametrize("limit", [1, 2, 7])
def test_each_loop_gets_the_results_of_its_own(limit):
    pool = Workers(limit)
    found = {}

    async def main(name):
        async def one(number):
            if number % 7 == 0:
                await asyncio.sleep(0)
            return await in_thread(lambda: (name, number), pool=pool)

        for _ in range(3):
            got = await asyncio.gather(*map(one, range(200)))
            found.setdefault(name, []).append(got == [(name, n) for n in range(200)])

    threads = [threading.Thread(target=lambda n=n: asyncio.run(main(n))) for n in "abc"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert found == {name: [True] * 3 for name in "abc"}
    assert len(pool._threads) <= limit
    pool.close(5)
