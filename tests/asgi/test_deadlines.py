"""Limits of time that many waits share."""

from __future__ import annotations

import asyncio
import contextvars
import gc
import weakref

import pytest

from kolben.asgi.deadlines import time_limit

SHORT = 0.02
LONG = 60.0


def limit(seconds):
    return time_limit(asyncio.get_running_loop(), seconds)


def test_result_that_comes_in_time_is_returned():
    async def main():
        return await limit(LONG).wait_for(asyncio.sleep(0, "result"))

    assert asyncio.run(main()) == "result"


def test_error_that_comes_in_time_is_raised():
    async def fail():
        raise ValueError("from inside")

    async def main():
        await limit(LONG).wait_for(fail())

    with pytest.raises(ValueError, match="from inside"):
        asyncio.run(main())


def test_wait_that_takes_too_long_is_cancelled():
    ended = []

    async def endless():
        try:
            await asyncio.sleep(LONG)
        finally:
            ended.append("cancelled")

    async def main():
        with pytest.raises(TimeoutError):
            await limit(SHORT).wait_for(endless())
        assert ended == ["cancelled"]
        # The task itself was not cancelled: it can wait for more.
        await asyncio.sleep(0)
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_each_loop_has_one_limit_of_each_length_and_is_not_kept():
    async def main():
        assert limit(SHORT) is limit(SHORT)
        assert limit(SHORT) is not limit(LONG)
        return weakref.ref(limit(LONG)), weakref.ref(asyncio.get_running_loop())

    first, loop = asyncio.run(main())
    second, _ = asyncio.run(main())
    assert second() is not None
    gc.collect()
    assert (first(), loop()) == (None, None)


def test_each_wait_has_the_whole_time_for_itself():
    async def wait(begin, pause):
        await asyncio.sleep(begin)
        try:
            return await limit(SHORT * 2).wait_for(asyncio.sleep(pause, "in time"))
        except TimeoutError:
            return "too late"

    async def main():
        return await asyncio.gather(wait(0, LONG), wait(SHORT, 0), wait(SHORT, LONG), wait(0, 0))

    assert asyncio.run(main()) == ["too late", "in time", "too late", "in time"]


def test_after_all_waits_are_over_a_later_one_is_watched_again():
    async def main():
        for _ in range(3):
            with pytest.raises(TimeoutError):
                await limit(SHORT).wait_for(asyncio.sleep(LONG))

    asyncio.run(main())


def test_cancellation_from_outside_is_not_taken_for_the_end_of_the_time():
    async def main():
        task = asyncio.create_task(limit(LONG).wait_for(asyncio.sleep(LONG)))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_task_counts_as_cancelled_no_longer_where_the_wait_ends_otherwise():
    async def ends_with_an_error_of_its_own():
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            raise ValueError("from inside") from None

    async def main():
        with pytest.raises(ValueError, match="from inside"):
            await limit(SHORT).wait_for(ends_with_an_error_of_its_own())
        assert asyncio.current_task().cancelling() == 0

    asyncio.run(main())


def test_cancellation_from_outside_goes_before_the_end_of_the_time():
    async def cancelled_again_at_its_end():
        try:
            await asyncio.sleep(LONG)
        except asyncio.CancelledError:
            asyncio.current_task().cancel()
            raise

    async def main():
        task = asyncio.create_task(limit(SHORT).wait_for(cancelled_again_at_its_end()))
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())


def test_what_a_wait_knew_is_not_kept_until_the_time_is_over():
    class Request:
        pass

    variable = contextvars.ContextVar("variable", default=None)

    async def request():
        it = Request()
        variable.set(it)
        await limit(LONG).wait_for(asyncio.sleep(0))
        return weakref.ref(it)

    async def main():
        first = await asyncio.create_task(request())
        second = await asyncio.create_task(request())
        await asyncio.sleep(0)  # the loop itself keeps the last task for a moment
        gc.collect()
        return first(), second()

    assert asyncio.run(main()) == (None, None)


def test_limits_of_several_lengths_are_found_again_in_any_order():
    async def main():
        one, other = limit(LONG), limit(2 * LONG)
        assert one is not other
        assert limit(LONG) is one
        assert limit(2 * LONG) is other

    asyncio.run(main())
