"""Artifacts in a folder of this machine."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mlflow_archive.errors import (
    MlflowArchiveError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
    UsageError,
)
from mlflow_archive.storage.partial import is_partial, partial_name
from mlflow_archive.storage.store import CHUNK_BYTES
from mlflow_archive.tracking.artifact_contract import ArtifactFault, ArtifactFile, ArtifactFolder, checked_name

_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_WRITE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)


class LocalFolder:
    """Files below a root. A link is read if it leads to a file below the same root, and never followed out of it."""

    def __init__(self, root: str | Path) -> None:
        """Use the folder, which need not be there."""
        self._root = Path(os.path.realpath(root))

    def list(self) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files, folder by folder."""
        waiting = [""]
        while waiting:
            above = waiting.pop()
            try:
                with os.scandir(self._root / above) as entries:
                    found = sorted(entries, key=lambda entry: entry.name)
            except (FileNotFoundError, NotADirectoryError):
                continue
            except OSError as error:
                yield ArtifactFault(above, "unreadable", f"The folder cannot be listed: {error.strerror}.", False)
                continue
            for entry in found:
                name = f"{above}/{entry.name}" if above else entry.name
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(name)
                elif not is_partial(name):
                    yield self._found(name)

    @contextmanager
    def open(self, name: str) -> Iterator[Iterator[bytes]]:
        """Open a file."""
        place = self._inside(name)
        try:
            descriptor = os.open(place, _READ)
        except OSError as error:
            raise _translated(error, name) from None
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise UsageError(f"The artifact {name!r} is not a file.", code="special")
            yield _chunks(descriptor, name)
        finally:
            os.close(descriptor)

    def write(self, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Write a file under a name of its own and move it when it is complete."""
        place = self._inside(name)
        try:
            place.parent.mkdir(parents=True, exist_ok=True)
            self._write(self._inside(name), name, data, size_bytes)
        except MlflowArchiveError:
            raise
        except OSError as error:
            raise _translated(error, name) from None

    def present(self) -> frozenset[str] | None:
        """Return the names of what is directly in the folder."""
        try:
            return frozenset(os.listdir(self._root))  # noqa: PTH208
        except FileNotFoundError:
            return frozenset()
        except OSError:
            return None

    def exists(self) -> bool:
        """Tell whether the folder is there."""
        return self._root.is_dir()

    def remove(self, name: str) -> None:
        """Delete a file, if it is there."""
        with suppress(FileNotFoundError):
            self._inside(name).unlink()

    def _write(self, place: Path, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        part = place.parent / partial_name()
        written = 0
        try:
            with os.fdopen(os.open(part, _WRITE, 0o666), "wb", buffering=0) as file:
                for chunk in data:
                    view = memoryview(chunk)
                    while view:
                        view = view[file.write(view) :]
                    written += len(chunk)
            if size_bytes is not None and written != size_bytes:
                raise UnavailableError(f"The artifact {name!r} broke off: {written} of {size_bytes} bytes came.")
            part.replace(place)
        finally:
            with suppress(FileNotFoundError):
                part.unlink()

    def _inside(self, name: str) -> Path:
        """Return the path of a name; no link on the way, nor a link at its end, may lead out of the root."""
        place = self._root / checked_name(name)
        if Path(os.path.realpath(place)) != place:
            real = Path(os.path.realpath(place))
            if not real.is_relative_to(self._root):
                raise UsageError(f"The artifact {name!r} is a link that leads out of its root.", code="link")
            return real
        return place

    def _found(self, name: str) -> ArtifactFile | ArtifactFault:
        try:
            name.encode("utf-8")
        except UnicodeEncodeError:
            shown = name.encode("utf-8", "replace").decode()
            return ArtifactFault(shown, "name", "The name is not valid Unicode.", False)
        try:
            status = (self._root / self._inside(name)).stat()
        except UsageError as error:
            return ArtifactFault(name, error.code, str(error), False)
        except OSError as error:
            return ArtifactFault(name, "unreadable", f"The file cannot be read: {error.strerror}.", False)
        if stat.S_ISREG(status.st_mode):
            return ArtifactFile(name, status.st_size)
        if stat.S_ISDIR(status.st_mode):
            return ArtifactFault(name, "link", "It is a link to a folder; the folder's own files are read.", False)
        return ArtifactFault(name, "special", "It is neither a file nor a folder.", False)


class SharedFolder:
    """A folder that belongs to the server, and seems to be reachable from this machine too.

    Reading: whose id stands in the path, has files here. Writing: after the first file the server is asked whether it
    sees it, because a path may be there on both machines and not be the same.
    """

    def __init__(self, root: str, served: ArtifactFolder) -> None:
        """Use the folder ``root``, which the server reaches by ``served``."""
        self._local = LocalFolder(root)
        self._served = served

    def list(self) -> Iterator[ArtifactFile | ArtifactFault]:
        """Yield all files."""
        return self._local.list()

    @contextmanager
    def open(self, name: str) -> Iterator[Iterator[bytes]]:
        """Open a file."""
        with self._local.open(name) as chunks:
            yield chunks

    def write(self, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        """Write a file; the first of an owner is verified."""
        first = not self._local.exists()
        self._local.write(name, data, size_bytes)
        if not first:
            return
        seen = self._served.present()
        if seen is not None and name.partition("/")[0] not in seen:
            self._local.remove(name)
            raise UsageError(
                "The server keeps its artifacts in a folder of another machine: start it with --serve-artifacts, or "
                "run this where the folder is.",
                code="artifact_root",
            )

    def present(self) -> frozenset[str] | None:
        """Return the names of what is directly in the folder."""
        return self._local.present()


def _chunks(descriptor: int, name: str) -> Iterator[bytes]:
    while True:
        try:
            chunk = os.read(descriptor, CHUNK_BYTES)
        except OSError as error:
            raise _translated(error, name) from None
        if not chunk:
            return
        yield chunk


def _translated(error: OSError, name: str) -> MlflowArchiveError:
    if isinstance(error, FileNotFoundError):
        return NotFoundError(f"There is no artifact {name!r}.")
    if isinstance(error, PermissionError):
        return NotAuthorisedError(f"The artifact {name!r} cannot be reached: {error.strerror}.")
    if error.errno in (errno.ENAMETOOLONG, errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.EILSEQ, errno.EINVAL):
        return UsageError(f"The artifact {name!r} cannot have this name here: {error.strerror}.", code="name")
    return UnavailableError(f"The artifact {name!r} cannot be reached: {error.strerror}.")
