"""Memory that a process has freed, given back to the system.

glibc keeps much of it in reserve: for each thread, and in holes between what is in use. Where threads
take large uploads the holes become more, and the process larger, for as long as we have looked.
``malloc_trim(3)`` returns them.
"""

from __future__ import annotations

import functools
import os
import sys
import time
import typing as t

if t.TYPE_CHECKING:
    from collections.abc import Callable


#: What each thread's arena keeps in reserve between two times of giving back, in bytes; and from which size
#: on a block is a mapping of its own.
_RESERVE = 4 * 1024 * 1024
_OWN_MAPPING = 2 * 1024 * 1024

#: Variables of the environment by which users choose this themselves (mallopt(3)).
_CHOSEN_BY = ("MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_")

# Of <malloc.h>.
_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3


def _find(name: str, *types: str) -> Callable[..., int] | None:
    """Find a function of glibc's; None where the C library has none, as musl's and that of macOS."""
    if sys.platform != "linux":
        return None
    try:
        import ctypes

        # Found this way it runs without Python's global lock.
        function = getattr(ctypes.CDLL(None), name)
    except (ImportError, OSError, AttributeError):
        return None
    function.argtypes = [getattr(ctypes, each) for each in types]
    function.restype = ctypes.c_int
    return t.cast("Callable[..., int]", function)


@functools.cache
def _find_malloc_trim() -> Callable[..., int] | None:
    return _find("malloc_trim", "c_size_t")


def keep_reserve() -> bool:
    """Let malloc keep what the pieces of files and uploads take, to use it again, rather than return each.

    PERF: by itself glibc gives a freed piece of 256 KiB back at once, and the next one is 64 page faults: to
    read a file of 3 MB took 0.79 ms and 352 faults, and takes 0.15 ms and none.

    :return: whether that was set; not where the user has chosen, or the C library has no such choice.
    """
    mallopt = _find("mallopt", "c_int", "c_int")
    is_chosen = any(name in os.environ for name in _CHOSEN_BY)
    if mallopt is None or is_chosen or "_threshold" in os.environ.get("GLIBC_TUNABLES", ""):
        return False
    return mallopt(_M_MMAP_THRESHOLD, _OWN_MAPPING) == mallopt(_M_TRIM_THRESHOLD, _RESERVE) == 1


def give_back() -> bool:
    """Give the memory that malloc holds in reserve back to the system, as whole pages.

    :return: whether there was any; False, too, where the C library cannot do that.
    """
    malloc_trim = _find_malloc_trim()
    return malloc_trim is not None and malloc_trim(0) == 1


class Caretaker:
    """Calls :func:`give_back` now and then, in a process that has been at work."""

    #: How long to wait before the next time, in seconds.
    INTERVAL = 10.0
    #: At least so many times what the last time took: 0.3 ms beside uploads, and about 0.1 ms for each
    #: MiB that goes back. So long the threads wait that ask for memory of the same arena.
    SHARE = 1000
    #: The processor time since then that makes it worth the while, in seconds. An idle process takes
    #: less.
    WORK = 0.05

    def __init__(self) -> None:
        _find_malloc_trim()  # which takes some milliseconds, and not beside requests
        self._due = time.monotonic() + self.INTERVAL
        self._work = time.process_time()

    def look(self) -> None:
        """Give memory back if it is time to, and if there may be any; cheap otherwise."""
        begin = time.monotonic()
        if begin < self._due:
            return
        worked = time.process_time() - self._work >= self.WORK
        if worked:
            give_back()
            self._work = time.process_time()
        end = time.monotonic()
        self._due = end + max(self.INTERVAL, self.SHARE * (end - begin))
