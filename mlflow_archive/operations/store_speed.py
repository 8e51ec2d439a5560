"""How fast a place for archives is: one request after the other, many small objects at once, one big object."""

from __future__ import annotations

import hashlib
import random
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from mlflow_archive.errors import IntegrityError
from mlflow_archive.storage.store import CHUNK_BYTES, Store

T = TypeVar("T")

#: Size of the small objects, about that of a run's document.
SMALL_BYTES = 10 << 10
#: Requests whose time is taken.
REQUESTS = 30


@dataclass(frozen=True, slots=True)
class Extent:
    """How much is moved to measure.

    Attributes:
        stream_bytes: Size of the big object.
        small_objects: Number of small ones.
    """

    stream_bytes: int = 64 << 20
    small_objects: int = 200


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured.

    Attributes:
        put_ms_median: Time to write an object of 1 KiB.
        put_ms_p95: Of 20 such writes, 19 were faster.
        get_ms_median: Time to read it.
        get_ms_p95: Of 20 such reads, 19 were faster.
        small_puts_per_second: Objects of 10 KiB written in a second, ``parallelism`` at a time.
        small_gets_per_second: Objects of 10 KiB read in a second.
        up_bytes_per_second: Of one big object, as one stream.
        down_bytes_per_second: Of one big object, as one stream.
        parallelism: How many small objects were on their way at a time.
        stream_bytes: Size of the big object.
        small_objects: Number of small objects.
    """

    put_ms_median: float
    put_ms_p95: float
    get_ms_median: float
    get_ms_p95: float
    small_puts_per_second: float
    small_gets_per_second: float
    up_bytes_per_second: int
    down_bytes_per_second: int
    parallelism: int
    stream_bytes: int
    small_objects: int


def measure(store: Store, source: random.Random, extent: Extent, parallelism: int) -> Figures:
    """Write and read, and take the time.

    Raises:
        IntegrityError: The big object came back changed.
        MlflowArchiveError: The place failed.
    """
    puts, gets = _requests(store, source)
    small = _small_objects(store, source, extent.small_objects, parallelism)
    up, down = _stream(store, source, extent.stream_bytes)
    return Figures(
        put_ms_median=round(statistics.median(puts), 2),
        put_ms_p95=round(_p95(puts), 2),
        get_ms_median=round(statistics.median(gets), 2),
        get_ms_p95=round(_p95(gets), 2),
        small_puts_per_second=round(small[0], 1),
        small_gets_per_second=round(small[1], 1),
        up_bytes_per_second=round(up),
        down_bytes_per_second=round(down),
        parallelism=parallelism,
        stream_bytes=extent.stream_bytes,
        small_objects=extent.small_objects,
    )


def _requests(store: Store, source: random.Random) -> tuple[list[float], list[float]]:
    data = source.randbytes(1 << 10)
    keys = [f"latency/{number}" for number in range(REQUESTS)]
    puts = [1000 * _seconds(lambda key=key: _put(store, key, data)) for key in keys]  # type: ignore[misc]
    gets = [
        1000 * _seconds(lambda key=key: store.read_all(key, limit_bytes=len(data)))  # type: ignore[misc]
        for key in keys
    ]
    return puts, gets


def _small_objects(store: Store, source: random.Random, number: int, parallelism: int) -> tuple[float, float]:
    data = source.randbytes(SMALL_BYTES)
    keys = [f"small/{each}" for each in range(number)]
    up = _seconds(lambda: _for_each(lambda key: _put(store, key, data), keys, parallelism))
    down = _seconds(lambda: _for_each(lambda key: store.read_all(key, limit_bytes=SMALL_BYTES), keys, parallelism))
    return number / up, number / down


def _stream(store: Store, source: random.Random, size_bytes: int) -> tuple[float, float]:
    blocks = [source.randbytes(CHUNK_BYTES) for _ in range(8)]
    count = max(1, size_bytes // CHUNK_BYTES)
    written, found = hashlib.sha256(), hashlib.sha256()
    for number in range(count):
        written.update(blocks[number % len(blocks)])

    def write() -> None:
        with store.write("stream", size_bytes=count * CHUNK_BYTES) as writer:
            for number in range(count):
                writer.write(blocks[number % len(blocks)])

    def read() -> None:
        for chunk in store.read("stream"):
            found.update(chunk)

    up, down = _seconds(write), _seconds(read)
    if found.digest() != written.digest():
        raise IntegrityError("A big object came back changed: do not keep archives here.")
    return count * CHUNK_BYTES / up, count * CHUNK_BYTES / down


def _put(store: Store, key: str, data: bytes) -> None:
    with store.write(key, size_bytes=len(data)) as writer:
        writer.write(data)


def _for_each(action: Callable[[T], object], values: Iterable[T], parallelism: int) -> None:
    with ThreadPoolExecutor(parallelism, thread_name_prefix="doctor") as pool:
        try:
            for _ in pool.map(action, values):
                pass
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _seconds(action: Callable[[], object]) -> float:
    begun = time.perf_counter()
    action()
    return max(time.perf_counter() - begun, 1e-6)


def _p95(values: list[float]) -> float:
    return statistics.quantiles(values, n=20)[-1]
