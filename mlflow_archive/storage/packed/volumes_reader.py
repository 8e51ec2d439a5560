"""An archive in volumes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

from mlflow_archive.errors import IntegrityError, NotAnArchiveError, NotFoundError, Problem
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.packed.finished import FinishedStore
from mlflow_archive.storage.packed.frames import KeptFrames
from mlflow_archive.storage.packed.tarball_reader import TarballReader
from mlflow_archive.storage.packed.volumes import MAX_LIST_BYTES, PLAIN, VOLUMES, Volume, parse_list, volume_number
from mlflow_archive.storage.store import Store, StoredObject

#: So many tables are read at once.
_OPENERS = 8


class OpenVolumes:
    """The tables of several volumes; of two members of one name that of the later volume counts."""

    def __init__(self, volumes: Sequence[Volume], readers: Sequence[TarballReader], last_number: int) -> None:
        """Use `found` or `VolumesReader.open`."""
        self.volumes = tuple(volumes)
        """Those that could be opened, in order."""
        self.readers = tuple(readers)
        """Their readers."""
        self.last_number = last_number
        """The greatest number of a volume that is there, 0 if there is none."""

    @classmethod
    def found(cls, outer: Store, found: Sequence[tuple[int, str, int]]) -> OpenVolumes:
        """Open what a listing found: number, key and size. What cannot be opened is left aside, to be written again."""
        kept = KeptFrames()

        def opened(entry: tuple[int, str, int]) -> tuple[Volume, TarballReader] | None:
            _, key, size = entry
            try:
                reader = TarballReader.open(outer, key, url=f"{outer.url.rstrip('/')}/{key}", kept=kept)
            except (IntegrityError, NotAnArchiveError):
                return None
            return Volume(key, size, reader.table.stored_bytes), reader

        with ThreadPoolExecutor(_OPENERS, thread_name_prefix="tables") as pool:
            pairs = [pair for pair in pool.map(opened, found) if pair is not None]
        last = max((number for number, _, _ in found), default=0)
        return cls([volume for volume, _ in pairs], [reader for _, reader in pairs], last)

    def holder(self, key: str) -> TarballReader | None:
        """Return the volume that has an object."""
        return next((reader for reader in reversed(self.readers) if reader.table.find(key) is not None), None)

    def size_bytes(self, key: str) -> int | None:
        """Return the size of an object, None if there is none."""
        holder = self.holder(key)
        return None if holder is None else holder.size_bytes(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects of all volumes."""
        for number, reader in enumerate(self.readers):
            later = self.readers[number + 1 :]
            for found in reader.list(prefix):
                if all(other.table.find(found.key) is None for other in later):
                    yield found


class VolumesReader(FinishedStore):
    """A folder of volumes with a list of them. Nothing can be written."""

    _finished = "holds finished volumes"

    def __init__(self, outer: Store, volumes: OpenVolumes, problems: Sequence[Problem]) -> None:
        """Use `open`."""
        super().__init__(outer, outer.url)
        self._volumes = volumes
        self._problems = tuple(problems)

    @classmethod
    def open(cls, outer: Store) -> VolumesReader | None:
        """Open the volumes of a folder; None if it has no list of them.

        A volume that is missing or cut off is a problem and not an error: what is in the others can be read.

        Raises:
            IntegrityError: The list or a table breaks a rule.
        """
        try:
            listed = parse_list(outer.read_all(VOLUMES, limit_bytes=MAX_LIST_BYTES))
        except NotFoundError:
            return None
        kept = KeptFrames()

        def opened(volume: Volume) -> TarballReader | Problem:
            try:
                if outer.size_bytes(volume.path) != volume.size_bytes:
                    return Problem("E065", volume.path, f"is missing or has not the size that {VOLUMES} gives it")
                return TarballReader.open(
                    outer,
                    volume.path,
                    url=f"{outer.url.rstrip('/')}/{volume.path}",
                    end=(volume.size_bytes, volume.table_offset),
                    kept=kept,
                )
            except NotAnArchiveError as error:
                return Problem("E065", volume.path, str(error))

        with ThreadPoolExecutor(_OPENERS, thread_name_prefix="tables") as pool:
            results = list(pool.map(opened, listed))
        pairs = [(v, r) for v, r in zip(listed, results, strict=True) if isinstance(r, TarballReader)]
        last = max((volume_number(volume.path) or 0 for volume in listed), default=0)
        volumes = OpenVolumes([volume for volume, _ in pairs], [reader for _, reader in pairs], last)
        return cls(outer, volumes, [result for result in results if isinstance(result, Problem)])

    def problems(self, *, every_byte: bool) -> Iterator[Problem]:
        """Yield what is wrong with the volumes as such; see `TarballReader.problems`."""
        yield from self._problems
        for reader in self._volumes.readers:
            yield from reader.problems(every_byte=every_byte)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield an object or a range of it."""
        yield from self._holder(key).read(key, start=start, size_bytes=size_bytes)

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return a whole small object."""
        return self._holder(key).read_all(key, limit_bytes=limit_bytes)

    def size_bytes(self, key: str) -> int | None:
        """Return the size of an object."""
        if check_path(key) in PLAIN:
            return self._outer.size_bytes(key)
        return self._volumes.size_bytes(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield what is in the volumes and what stands beside them, without the list and what it names."""
        known = {volume.path for volume in self._volumes.volumes} | {VOLUMES}
        for found in self._outer.list(prefix):
            if found.key not in known:
                yield found
        yield from self._volumes.list(prefix)

    def _holder(self, key: str) -> Store:
        if check_path(key) in PLAIN:
            return self._outer
        holder = self._volumes.holder(key)
        if holder is None:
            raise NotFoundError(f"There is no {key} in the volumes at {self.url}.")
        return holder
