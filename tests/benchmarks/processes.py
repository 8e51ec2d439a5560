"""Runs a command beside servers that this process started, and says what it and they cost. Linux alone."""

from __future__ import annotations

import os
import subprocess
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from time import monotonic

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE_MIB = os.sysconf("SC_PAGE_SIZE") / 2**20
_EVERY_SECONDS = 0.1


@dataclass(frozen=True)
class Spent:
    """What one command cost: itself with its children, and the servers meanwhile."""

    seconds: float
    cpu_seconds: float
    server_cpu_seconds: float
    peak_rss_mib: float


def run(command: Sequence[str], log: Path, env: Mapping[str, str] | None = None) -> Spent:
    """Run a command to its end; what it says is in ``log``.

    Everything else that this process has started counts as a server.

    Raises:
        RuntimeError: It ended with another exit code than 0 or 3 (done with losses).
    """
    before = _cpu_seconds(os.getpid())
    began = monotonic()
    with log.open("wb") as output:
        process = subprocess.Popen(command, env={**os.environ, **(env or {})}, stdout=output, stderr=subprocess.STDOUT)
        memory = _Memory(process.pid)
        # wait4 gives the resources of this process and of the children it waited for.
        _, status, usage = os.wait4(process.pid, 0)
        seconds = monotonic() - began
        process.returncode = os.waitstatus_to_exitcode(status)
    peak = max(memory.end(), usage.ru_maxrss / 1024)
    if process.returncode not in (0, 3):
        said = log.read_text(errors="replace")[-2000:]
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}:\n{said}")
    servers = _cpu_seconds(os.getpid()) - before
    return Spent(seconds, usage.ru_utime + usage.ru_stime, servers, peak)


class _Memory:
    """Looks at a process with all its children ten times a second, and keeps the most that they had together."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0.0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def end(self) -> float:
        """Return the peak in MiB."""
        self._over.set()
        self._thread.join()
        return self._peak

    def _look(self) -> None:
        while not self._over.wait(_EVERY_SECONDS):
            self._peak = max(self._peak, sum(map(_rss_mib, (self._pid, *_below(self._pid)))))


def _cpu_seconds(pid: int) -> float:
    """Return what all processes below one have used, those included that they waited for."""
    return sum(map(_used, _below(pid)))


def _below(pid: int) -> Iterator[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        for path in Path(f"/proc/{pid}/task").glob("*/children"):
            for child in map(int, path.read_text().split()):
                yield child
                yield from _below(child)


def _used(pid: int) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        # The name may have blanks in it; what follows are numbers, the 12th to 15th of them times.
        numbers = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, numbers[11:15])) / _TICKS
    return 0.0


def _rss_mib(pid: int) -> float:
    with suppress(FileNotFoundError, ProcessLookupError):
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_MIB
    return 0.0
