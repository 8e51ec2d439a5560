"""Listing a tree that can only be listed folder by folder: several at a time, files as they are found."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a listing; the path is absolute, as the workspace has it."""

    path: str
    size_bytes: int
    modified_ms: int


#: Files and folders right below a folder.
Listing = tuple[list[Found], list[str]]


def walk(top: str, listed: Callable[[str], Listing]) -> Iterator[Found]:
    """Yield all files below a folder in no particular order, lazily."""
    waiting = [top]
    running: deque[Future[Listing]] = deque()
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mlflow-archive-list")
    try:
        while waiting or running:
            while waiting and len(running) < _AT_ONCE:
                running.append(pool.submit(listed, waiting.pop()))
            files, folders = running.popleft().result()
            waiting += folders
            yield from files
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
