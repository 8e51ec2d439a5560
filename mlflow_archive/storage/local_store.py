"""A directory of this machine as a store.

Written by the operating system's own calls and not through fsspec, whose local files are neither atomic nor synced.
"""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlflow_archive.errors import ConflictError, IntegrityError, NotFoundError, Problem
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.faults import taken, too_large, translated
from mlflow_archive.storage.keys import KeyCheck
from mlflow_archive.storage.partial import is_partial, may_be_wanted, partial_name
from mlflow_archive.storage.store import CHUNK_BYTES, ByteWriter, Store, StoredObject

if sys.platform != "win32":
    import fcntl

_NO_FOLLOW = getattr(os, "O_NOFOLLOW", 0)
_READ = os.O_RDONLY | _NO_FOLLOW | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _NO_FOLLOW | getattr(os, "O_BINARY", 0)
#: What a file system says that has no hard links.
_NO_LINKS = frozenset({errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.EACCES})

#: So many folders wait at most to be synced.
_MOST_FOLDERS = 4096


class LocalStore(Store):
    """Objects are files below a root directory, which is made by the first write.

    An object is written under a name of its own in its folder, synced to the disk and then renamed, so that a
    power cut leaves a whole object or none. Links are never followed below the root.
    """

    def __init__(self, root: Path, *, url: str | None = None, check: KeyCheck = check_path) -> None:
        """Use ``root``, which need not be there, and keys that pass ``check``; people are told ``url``."""
        self.url = url or str(root)
        self._check = check
        self._root = os.path.realpath(root)
        self._folders = _Folders()

    @contextmanager
    def write(
        self,
        key: str,
        *,
        size_bytes: int | None = None,  # noqa: ARG002
        exclusive: bool = False,
    ) -> Iterator[ByteWriter]:
        """Write one object; see `Store.write`."""
        place = self._place(key)
        part = _Part(self, key, place, self._folders)
        try:
            yield part
            if exclusive:
                part.commit_new()
            else:
                part.commit()
        finally:
            part.discard()

    def create(self, key: str, data: bytes) -> None:
        """Write a small object if there is none: the complete file is linked to its name, which only one can do.

        All that this store wrote before is durable when it appears.
        """
        place = self._place(key)
        part = _Part(self, key, place, self._folders)
        try:
            part.write(data)
            part.commit_new()
        finally:
            part.discard()

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield an object or a range of it; the file is open while the generator is."""
        with self._open(key) as (descriptor, _):
            left = sys.maxsize if size_bytes is None else size_bytes
            with translated(self.url, key):
                if start:
                    os.lseek(descriptor, start, os.SEEK_SET)
            while left > 0:
                with translated(self.url, key):
                    chunk = os.read(descriptor, min(CHUNK_BYTES, left))
                if not chunk:
                    return
                left -= len(chunk)
                yield chunk

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small object."""
        with self._open(key) as (descriptor, size):
            if size > limit_bytes:
                raise too_large(key, limit_bytes)
            chunks: list[bytes] = []
            left = limit_bytes + 1
            while left > 0:
                with translated(self.url, key):
                    chunk = os.read(descriptor, min(CHUNK_BYTES, left))
                if not chunk:
                    return b"".join(chunks)
                left -= len(chunk)
                chunks.append(chunk)
        raise too_large(key, limit_bytes)

    def size_bytes(self, key: str) -> int | None:
        """Return the size of a file, None if there is none."""
        place = self._place(key)
        try:
            with translated(self.url, key):
                status = os.lstat(place)
        except NotFoundError:
            return None
        if stat.S_ISDIR(status.st_mode):
            return None
        _require_file(key, status)
        return status.st_size

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield all files below a folder. Links and devices are named too, so that a check finds them."""
        folder = prefix.rstrip("/")
        top = self._place(folder) if folder else self._root
        if folder and os.path.islink(top):  # noqa: PTH114
            raise _link(folder)
        waiting = [(folder, top)]
        while waiting:
            above, place = waiting.pop()
            try:
                with translated(self.url, above), os.scandir(place) as entries:
                    found = list(entries)
            except NotFoundError:
                continue
            for entry in found:
                key = f"{above}/{entry.name}" if above else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((key, entry.path))
                elif not is_partial(key):
                    with suppress(FileNotFoundError):
                        yield StoredObject(key, entry.stat(follow_symlinks=False).st_size)

    def delete(self, key: str) -> None:
        """Delete a file, if it is there."""
        place = self._place(key)
        with suppress(NotFoundError), translated(self.url, key):
            os.unlink(place)  # noqa: PTH108

    def sweep(self) -> int:
        """Delete unfinished files, but not those that a living process is writing."""
        count = 0
        for folder, _, names in os.walk(self._root):
            self._folders.changed(folder)  # by a process that did not come to sync it
            for name in filter(is_partial, names):
                count += _remove_abandoned(os.path.join(folder, name))  # noqa: PTH118
        return count

    def sweep_one(self, key: str) -> int:
        """Delete the unfinished files in the object's folder: any of them may have been this object's."""
        folder = os.path.dirname(self._place(key))  # noqa: PTH120
        try:
            with os.scandir(folder) as entries:
                found = [entry for entry in entries if is_partial(entry.name)]
                times = [entry.stat(follow_symlinks=False).st_mtime for entry in found]
        except OSError:
            return 0
        left = (entry.path for entry, at in zip(found, times, strict=True) if not may_be_wanted(entry.name, at))
        return sum(map(_remove_abandoned, left))

    def remove_folders(self) -> None:
        """Remove the empty folders."""
        for folder, _, _ in os.walk(self._root, topdown=False):
            with suppress(OSError):  # not empty
                os.rmdir(folder)  # noqa: PTH106

    def close(self) -> None:
        """Make durable what was written."""
        with translated(self.url, "", writing=True):
            self._folders.sync()

    def _place(self, key: str) -> str:
        """Return the path of a key, having made sure that no link leads out of the root."""
        self._check(key)
        place = os.path.join(self._root, *key.split("/"))  # noqa: PTH118
        folder = os.path.dirname(place)  # noqa: PTH120
        if os.path.realpath(folder) != folder:
            raise _link(key)
        return place

    @contextmanager
    def _open(self, key: str) -> Iterator[tuple[int, int]]:
        place = self._place(key)
        try:
            with translated(self.url, key):
                descriptor = os.open(place, _READ)
        except OSError as error:
            if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ELOOP:
                raise _link(key) from error
            raise
        try:
            status = os.fstat(descriptor)
            if stat.S_ISDIR(status.st_mode):
                raise NotFoundError(f"There is no {self.url.rstrip('/')}/{key}.")
            _require_file(key, status)
            yield descriptor, status.st_size
        finally:
            os.close(descriptor)


class _Part:
    """A file on its way: under a name of its own, locked while its writer lives."""

    def __init__(self, store: LocalStore, key: str, place: str, folders: _Folders) -> None:
        self._folders = folders
        self._url = store.url
        self._key = key
        self._place = place
        self._folder = os.path.dirname(place)  # noqa: PTH120
        with translated(self._url, key, writing=True):
            self._path, self._descriptor = self._begin()
        self._open = True

    def write(self, data: bytes) -> None:
        """Append."""
        view = memoryview(data)
        with translated(self._url, self._key, writing=True):
            while view:
                view = view[os.write(self._descriptor, view) :]

    def commit(self) -> None:
        """Make the file visible in place of what is there."""
        with translated(self._url, self._key, writing=True):
            self._finish()
            os.replace(self._path, self._place)  # noqa: PTH105
            self._folders.changed(self._folder)

    def commit_new(self) -> None:
        """Make the file visible if there is none."""
        with translated(self._url, self._key, writing=True):
            self._finish()
            self._folders.sync()
            try:
                os.link(self._path, self._place)
            except FileExistsError as error:
                raise self._taken() from error
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                self._claim()
            _sync_folder(self._folder)

    def discard(self) -> None:
        """Leave nothing behind; harmless after a commit."""
        self._close()
        with suppress(FileNotFoundError):
            os.unlink(self._path)  # noqa: PTH108

    def _begin(self) -> tuple[str, int]:
        path = os.path.join(self._folder, partial_name())  # noqa: PTH118
        try:
            descriptor = os.open(path, _WRITE, 0o666)
        except FileNotFoundError:
            self._folders.make(self._folder)
            descriptor = os.open(path, _WRITE, 0o666)
        if _hold(descriptor):
            return path, descriptor
        os.close(descriptor)
        return self._begin()

    def _finish(self) -> None:
        os.fsync(self._descriptor)
        if sys.platform == "win32":  # where no open file can be renamed; elsewhere it stays locked till then
            self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._descriptor)

    def _claim(self) -> None:
        """Create without hard links: whoever makes the claim's name may look and rename, one at a time."""
        digest = hashlib.sha256(self._key.encode()).hexdigest()[:8]
        claim = os.path.join(self._folder, f".mla-{digest}.part")  # noqa: PTH118
        try:
            os.close(os.open(claim, _WRITE, 0o666))
        except FileExistsError as error:
            raise self._taken() from error
        try:
            if os.path.lexists(self._place):
                raise self._taken()
            os.replace(self._path, self._place)  # noqa: PTH105
        finally:
            os.unlink(claim)  # noqa: PTH108

    def _taken(self) -> ConflictError:
        return taken(self._url, self._key)


class _Folders:
    """Folders with names that are not durable yet: synced together, as each takes as long as a small file."""

    def __init__(self) -> None:
        self._changed: set[str] = set()
        self._lock = threading.Lock()

    def changed(self, folder: str) -> None:
        """Note that a folder has a new name."""
        with self._lock:
            self._changed.add(folder)
            full = len(self._changed) >= _MOST_FOLDERS
        if full:
            self.sync()

    def make(self, folder: str) -> None:
        """Make a folder and those above it."""
        missing = []
        while not os.path.isdir(folder):  # noqa: PTH112
            missing.append(folder)
            folder = os.path.dirname(folder)  # noqa: PTH120
        for path in reversed(missing):
            os.makedirs(path, exist_ok=True)  # noqa: PTH103
            self.changed(os.path.dirname(path))  # noqa: PTH120

    def sync(self) -> None:
        """Make all names durable."""
        with self._lock:
            changed, self._changed = self._changed, set()
            for folder in changed:
                with suppress(FileNotFoundError):  # taken away again since
                    _sync_folder(folder)


def _sync_folder(folder: str) -> None:
    if sys.platform == "win32":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot sync a folder
            raise
    finally:
        os.close(descriptor)


def _hold(descriptor: int) -> bool:
    """Lock a new unfinished file; False if a sweep was quicker and takes it away."""
    if sys.platform == "win32":
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks still has atomic renames
        return True
    return os.fstat(descriptor).st_nlink > 0


def _remove_abandoned(path: str) -> int:
    try:
        descriptor = os.open(path, os.O_RDWR | _NO_FOLLOW)
    except OSError:
        return 0
    try:
        if sys.platform != "win32":
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)  # noqa: PTH108
    except OSError:
        return 0
    finally:
        os.close(descriptor)
    if sys.platform == "win32":  # where an open file cannot be deleted, which is the lock
        try:
            os.unlink(path)  # noqa: PTH108
        except OSError:
            return 0
    return 1


def _require_file(key: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise _link(key)


def _link(key: str) -> IntegrityError:
    message = "is a link or a device or stands behind a link, which an archive must not have"
    return IntegrityError(f"{key} {message} (E020).", problems=(Problem("E020", key, message),))
