"""What a place for archives must be able to do, tried out: the contract of `storage.store`, from outside.

Every check has a folder of its own below a store that nobody else uses.
"""

from __future__ import annotations

import hashlib
import random
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from mlflow_archive.errors import ConflictError, MlflowArchiveError, NotAuthorisedError, NotFoundError
from mlflow_archive.storage.store import CHUNK_BYTES, Store

#: Writers that want the same key at the same moment, and how often they try.
CONTENDERS = 6
ROUNDS = 5
#: An interrupted upload of this size has pieces at the place already: uploads are cut at 16 MiB.
ABORTED_BYTES = 17 << 20
_LIMIT_BYTES = 1 << 20

#: Keys that an archive may have, and that some places mistake.
STRANGE_KEYS = (
    "with space/a  b .txt",
    "per cent/%20 100%25.txt",
    "plus+and&=;,@!'()[]{}$^`.txt",
    "unicode/\u00fcml\u00e4ut/\u65e5\u672c\u8a9e/\U0001f40d.py",
    ".hidden/..two dots/-dash",
    "long/" + "n" * 200,
    "/".join(["deep"] * 30),
    "Case/case",
)


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried out.

    Attributes:
        name: A stable word.
        title: What was tried, for a person.
        must: Without it a place cannot hold archives safely.
        status: ``absent`` is an ability that a place may lack.
        detail: What was found, where that says more than the status; else empty.
        refused: It failed for lack of rights.
    """

    name: str
    title: str
    must: bool
    status: Literal["passed", "failed", "absent"]
    detail: str = ""
    refused: bool = False


class FailedError(Exception):
    """The place did something else than it must; the message says what."""


class AbsentError(Exception):
    """The place lacks an ability that it may lack; the message says how that shows."""


@dataclass(slots=True)
class Patient:
    """The place that is examined.

    Attributes:
        store: Where everything is written.
        open: Opens the same place once more, as another process would.
        random: Gives bytes, the same ones for the same seed.
    """

    store: Store
    open: Callable[[], Store]
    random: random.Random
    folder: str = field(default="", init=False)

    def key(self, name: str) -> str:
        """Return a key in the folder of the current check."""
        return f"{self.folder}/{name}"

    def put(self, name: str, data: bytes) -> str:
        """Write an object and return its key."""
        key = self.key(name)
        with self.store.write(key, size_bytes=len(data)) as writer:
            writer.write(data)
        return key


def run_checks(patient: Patient, begun: Callable[[str], None]) -> Iterator[Check]:
    """Try everything out, one after the other; ``begun`` is told each title."""
    for name, must, title, check in _CHECKS:
        patient.folder = name
        begun(title)
        try:
            detail = check(patient)
        except AbsentError as error:
            yield Check(name, title, must, "absent", str(error))
        except NotAuthorisedError as error:
            yield Check(name, title, must, "failed", str(error), refused=True)
        except (FailedError, MlflowArchiveError) as error:
            yield Check(name, title, must, "failed", str(error))
        else:
            yield Check(name, title, must, "passed", detail)


def _read_back(patient: Patient) -> str:
    for size in (1, 1000, CHUNK_BYTES + 1):
        data = patient.random.randbytes(size)
        key = patient.put(f"{size}.bin", data)
        _require(_whole(patient.store, key) == data, f"an object of {size:,} bytes came back changed")
        _require(patient.store.size_bytes(key) == size, f"the size of an object of {size:,} bytes is told wrongly")
    _require(patient.store.size_bytes(patient.key("none")) is None, "an object that was never written has a size")
    return ""


def _empty(patient: Patient) -> str:
    key = patient.put("empty", b"")
    _require(_whole(patient.store, key) == b"", "an empty object came back with bytes")
    _require(patient.store.size_bytes(key) == 0, "an empty object is not found again")
    return ""


def _ranges(patient: Patient) -> str:
    data = patient.random.randbytes(3 * CHUNK_BYTES + 17)
    key = patient.put("ranges", data)
    for start, size in ((0, 1), (5, 100), (CHUNK_BYTES - 3, 7), (2 * CHUNK_BYTES, CHUNK_BYTES), (len(data) - 9, 9)):
        found = b"".join(patient.store.read(key, start=start, size_bytes=size))
        _require(found == data[start : start + size], f"the {size:,} bytes from {start:,} on are not those asked for")
    found = b"".join(patient.store.read(key, start=len(data) - 5))
    _require(found == data[-5:], "a range to the end is not the end")
    return ""


def _listing(patient: Patient) -> str:
    sizes = {patient.put(f"{number % 7}/{number}", b"x" * number): number for number in range(40)}
    found = {each.key: each.size_bytes for each in patient.store.list(patient.folder)}
    _require(found == sizes, f"{len(sizes)} objects were written, the listing has {len(found)} or other sizes")
    below = {each.key for each in patient.store.list(patient.key("3"))}
    _require(below == {key for key in sizes if "/3/" in key}, "the listing of a folder is not what is in it")
    return ""


def _overwriting(patient: Patient) -> str:
    other = patient.open()
    try:
        key = patient.put("object", b"short")
        _require(_whole(other, key) == b"short", "a second reader did not get what was written")
        _require(len([*other.list(patient.folder)]) == 1, "a second reader did not find what was written")
        longer = patient.random.randbytes(5000)
        patient.put("object", longer)
        for store, who in ((patient.store, "the writer"), (other, "a second reader")):
            _require(_whole(store, key) == longer, f"{who} got the old bytes after an object was written anew")
            _require(store.size_bytes(key) == len(longer), f"{who} got the old size after an object was written anew")
    finally:
        other.close()
    return ""


def _deleting(patient: Patient) -> str:
    key = patient.put("object", b"x")
    patient.store.delete(key)
    _require_absent(patient, key, "a deleted object")
    patient.store.delete(key)
    return ""


class _CutError(Exception):
    """Ends an upload."""


def _aborting(patient: Patient) -> str:
    """End an upload in its middle, once where nothing was before and once over an object."""
    old = patient.put("old", b"as it was")
    new = patient.key("new")
    block = patient.random.randbytes(CHUNK_BYTES)
    for key in (new, old):
        with suppress(_CutError), patient.store.write(key) as writer:
            for _ in range(ABORTED_BYTES // CHUNK_BYTES):
                writer.write(block)
            raise _CutError
    _require_absent(patient, new, "an upload that was broken off")
    _require(_whole(patient.store, old) == b"as it was", "an upload that was broken off changed the object before it")
    return ""


def _creating(patient: Patient) -> str:
    key = patient.key("object")
    patient.store.create(key, b"first")
    try:
        patient.store.create(key, b"second")
    except ConflictError:
        _require(_whole(patient.store, key) == b"first", "a refused creation changed the object that was there")
        return ""
    raise FailedError("an object was created a second time over the first")


def _contending(patient: Patient) -> str:
    """Let several writers create one key at the same moment; exactly one must believe that it did."""
    stores = [patient.open() for _ in range(CONTENDERS)]
    worst = 1
    try:
        for number in range(ROUNDS):
            key = patient.key(f"{number}")
            winners = _contest(stores, key)
            _require(bool(winners), f"none of {CONTENDERS} writers could create an object")
            worst = max(worst, len(winners))
            if len(winners) == 1:
                kept = _whole(patient.store, key)
                _require(kept == _claim(winners[0]), "the object is not that of the only writer who created it")
    finally:
        for store in stores:
            store.close()
    if worst > 1:
        raise AbsentError(f"{worst} of {CONTENDERS} writers at the same moment believed to have created the object")
    return f"{CONTENDERS} writers, {ROUNDS} times"


def _contest(stores: Sequence[Store], key: str) -> list[int]:
    start = threading.Barrier(len(stores))

    def create(number: int) -> bool:
        start.wait()
        try:
            stores[number].create(key, _claim(number))
        except ConflictError:
            return False
        return True

    with ThreadPoolExecutor(len(stores)) as pool:
        won = [*pool.map(create, range(len(stores)))]
    return [number for number, has_won in enumerate(won) if has_won]


def _claim(number: int) -> bytes:
    return f"writer {number}".encode()


def _strange_keys(patient: Patient) -> str:
    contents = {patient.put(name, hashlib.sha256(name.encode()).digest()): name for name in STRANGE_KEYS}
    for key, name in contents.items():
        _require(_whole(patient.store, key) == hashlib.sha256(name.encode()).digest(), f"{name!r} came back changed")
    found = {each.key for each in patient.store.list(patient.folder)}
    lacking = sorted(set(contents) - found)
    _require(not lacking, f"{contents[lacking[0]] if lacking else ''!r} is not in the listing under its own name")
    _require(found == set(contents), "the listing has keys that were never written")
    return f"{len(STRANGE_KEYS)} keys"


def _whole(store: Store, key: str) -> bytes:
    if not key.endswith("object"):
        return b"".join(store.read(key))
    return store.read_all(key, limit_bytes=_LIMIT_BYTES)


def _require_absent(patient: Patient, key: str, what: str) -> None:
    _require(patient.store.size_bytes(key) is None, f"{what} has a size")
    _require(all(each.key != key for each in patient.store.list(patient.folder)), f"{what} is in the listing")
    try:
        next(iter(patient.store.read(key)), None)
    except NotFoundError:
        return
    raise FailedError(f"{what} can be read")


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise FailedError(f"{otherwise}.")


_CHECKS: tuple[tuple[str, bool, str, Callable[[Patient], str]], ...] = (
    ("read_back", True, "write objects and read them back", _read_back),
    ("empty", True, "keep an empty object", _empty),
    ("ranges", True, "read ranges of an object", _ranges),
    ("listing", True, "list everything that is there, at once", _listing),
    ("overwriting", True, "show every reader what was written last", _overwriting),
    ("deleting", True, "delete objects", _deleting),
    ("aborting", True, "show nothing of an upload that was broken off", _aborting),
    ("strange_keys", True, "keep strange names as they are", _strange_keys),
    ("creating", True, "refuse to create what is there already", _creating),
    ("contending", False, "let one of several writers win", _contending),
)
