"""Listing a tree that can only be listed folder by folder: several at a time, files as they are found."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

_AT_ONCE = 6


@dataclass(frozen=True, slots=True)
class Found:
    """A file of a listing; the path is absolute, as the workspace has it."""

    path: str
    size_bytes: int
    modified_ms: int


@dataclass(frozen=True, slots=True)
class Listing:
    """A page of what is right below a folder; ``after`` gets the next one, None if this is the last."""

    files: Sequence[Found] = ()
    folders: Sequence[str] = ()
    after: str | None = None


def walk(top: str, listed: Callable[[str, str | None], Listing]) -> Iterator[Found]:
    """Yield all files below a folder in no particular order, lazily: a few pages are held at a time.

    Args:
        top: The folder.
        listed: Returns a page of a folder, by the ``after`` of the one before it; None is the first.
    """
    waiting: list[tuple[str, str | None]] = [(top, None)]
    running: deque[tuple[str, Future[Listing]]] = deque()
    pool = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="mlflow-archive-list")
    try:
        while waiting or running:
            while waiting and len(running) < _AT_ONCE:
                folder, after = waiting.pop()
                running.append((folder, pool.submit(listed, folder, after)))
            folder, future = running.popleft()
            page = future.result()
            waiting += [(below, None) for below in page.folders]
            if page.after is not None:
                waiting.append((folder, page.after))
            yield from page.files
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
