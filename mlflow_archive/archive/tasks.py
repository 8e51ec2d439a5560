"""Work that brings further work: done by several threads, a bounded number of tasks at a time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import TypeVar

T = TypeVar("T")


def run_tasks(
    tasks: Iterator[Callable[[], T]],
    parallelism: int,
    settle: Callable[[T], Iterable[Callable[[], T]]],
    *,
    enough: Callable[[], bool] = lambda: False,
    abandon: Callable[[], None] = lambda: None,
) -> None:
    """Do tasks, and those that come of them, a bounded number at a time.

    Args:
        tasks: Taken lazily, in the calling thread.
        parallelism: How many are done at once.
        settle: Takes what a task left, in the calling thread, and returns the tasks that come of it.
        enough: True when no further task is to be begun.
        abandon: Called when an exception ends it all, before those that still work are waited for.
    """
    backlog: deque[Callable[[], T]] = deque()
    pending: set[Future[T]] = set()
    with ThreadPoolExecutor(parallelism, thread_name_prefix="archive") as pool:
        try:
            while True:
                while len(pending) < 2 * parallelism and not enough():
                    task = backlog.popleft() if backlog else next(tasks, None)
                    if task is None:
                        break
                    pending.add(pool.submit(task))
                if not pending:
                    return
                finished, pending = wait(pending, return_when=FIRST_COMPLETED)
                for future in finished:
                    backlog.extend(settle(future.result()))
        except BaseException:
            abandon()
            pool.shutdown(wait=False, cancel_futures=True)
            raise
