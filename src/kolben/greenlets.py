"""Real threads under gevent and eventlet, for what greenlets cannot share: event loops."""

from __future__ import annotations

import functools
import importlib
import os
import sys
import typing as t

#: Async views that run at a time in one process; further ones wait, and plain views go on.
THREADS = 40


def call_by_gevent(function: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
    """Call a function in a thread of a pool; gevent's other greenlets go on meanwhile.

    :param function: the function.
    :param args: its arguments.
    :return: what it returns.
    :raises Exception: what it raises.
    """
    return _gevent_pool(os.getpid()).apply(function, args)


@functools.cache
def _gevent_pool(process: int) -> t.Any:
    # One for each process: threads do not outlive a fork.
    return importlib.import_module("gevent.threadpool").ThreadPool(THREADS)


def call_by_eventlet(function: t.Callable[..., t.Any], *args: t.Any) -> t.Any:
    """Call a function in a thread of eventlet's pool; other greenlets go on meanwhile.

    :param function: the function.
    :param args: its arguments.
    :return: what it returns.
    :raises Exception: what it raises.
    """
    return importlib.import_module("eventlet.tpool").execute(function, *args)


class RealThread:
    """A thread that is none of gevent's or eventlet's greenlets; as much of :class:`threading.Thread` as we use.

    :param target: what it runs.
    :param args: with which arguments.
    """

    def __init__(self, target: t.Callable[..., t.Any], args: tuple[t.Any, ...]) -> None:
        self._target = target
        self._args = args

    def start(self) -> None:
        """Start it, as a daemon."""
        _start_new_thread()(self._target, self._args)

    def join(self, timeout: float | None = None) -> None:
        """Do not wait: to wait for a thread stops all greenlets.

        :param timeout: not heeded.
        """


def _start_new_thread() -> t.Any:
    gevent = sys.modules.get("gevent.monkey")
    if gevent is not None and gevent.is_module_patched("threading"):
        return gevent.get_original("_thread", "start_new_thread")
    return importlib.import_module("eventlet.patcher").original("_thread").start_new_thread
