"""What the Python can do that runs the tests."""

from __future__ import annotations

import sys
import sysconfig

import pytest

# What Python says from 3.13 on.
HAS_GIL: bool = getattr(sys, "_is_gil_enabled", lambda: True)()

lets_go_at_once = pytest.mark.skipif(
    not HAS_GIL,
    reason="without the GIL a thread lets go of what it has made when it next has something to do",
)
frees_functions = pytest.mark.skipif(
    not HAS_GIL and sys.version_info < (3, 14),
    reason="Python 3.13 without the GIL never frees a function that was defined after a thread had begun",
)
uses_malloc = pytest.mark.skipif(
    bool(sysconfig.get_config_var("Py_GIL_DISABLED")),
    reason="a Python that can do without the GIL has an allocator of its own",
)
