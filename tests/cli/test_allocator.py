from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

_ALLOCATING = """
import ctypes, sys, threading
from mlflow_archive.cli.allocator import share_arenas

if sys.argv[1] == "shared":
    share_arenas()
barrier = threading.Barrier(8)

def allocate():
    barrier.wait()
    kept = bytearray(1 << 16)
    barrier.wait()

threads = [threading.Thread(target=allocate) for _ in range(8)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
ctypes.CDLL(None).malloc_stats()
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about the GNU C library")
def test_threads_share_two_arenas():
    assert arenas("shared") <= 2 < arenas("as it is")


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="is about the GNU C library")
def test_what_the_environment_says_has_precedence():
    assert arenas("shared", MALLOC_ARENA_MAX="4") == 4


def arenas(how, **environment):
    ended = subprocess.run(
        [sys.executable, "-c", _ALLOCATING, how],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    return ended.stderr.count("Arena ")
