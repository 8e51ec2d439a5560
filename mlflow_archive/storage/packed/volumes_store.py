"""A new archive in volumes, or one that is gone on with."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from operator import itemgetter

from mlflow_archive.errors import ConflictError, MlflowArchiveError, NotFoundError, UsageError
from mlflow_archive.spec.paths import check_path
from mlflow_archive.storage.packed.codec import Codec
from mlflow_archive.storage.packed.lanes import Lanes
from mlflow_archive.storage.packed.member import write_member
from mlflow_archive.storage.packed.order import Order
from mlflow_archive.storage.packed.packer import Packer
from mlflow_archive.storage.packed.tarball_reader import TarballReader
from mlflow_archive.storage.packed.tarball_store import COMPRESSORS
from mlflow_archive.storage.packed.volumes import FOLDER, PLAIN, VOLUMES, Volume, list_bytes, volume_number, volume_path
from mlflow_archive.storage.packed.volumes_reader import OpenVolumes
from mlflow_archive.storage.store import ByteWriter, Store, StoredObject


class VolumesStore(Store):
    """Packs what is written into several tarballs at once; marker, guide and manifest stand beside them.

    A tarball becomes visible when it is complete, so that an interrupted backup can be gone on with from there: what
    is in complete volumes can be read. What this store itself has written cannot. Closing without a commit completes
    the open volumes where the outer store still works.
    """

    def __init__(self, outer: Store, codec: Codec, *, lanes: int, volume_bytes: int, hold_bytes: int) -> None:
        """Write volumes.

        Args:
            outer: The folder; is closed with this.
            codec: Compresses.
            lanes: How many volumes are written at once.
            volume_bytes: Size at which a volume is ended.
            hold_bytes: Objects up to this size wait in memory for their turn.
        """
        self.url = outer.url
        self._outer = outer
        self._codec = codec
        self._hold_bytes = hold_bytes
        self._pool = ThreadPoolExecutor(COMPRESSORS, thread_name_prefix="compress")
        self._lanes = Lanes(lanes, volume_bytes, self._begin, self._ended)
        self._lock = threading.Lock()
        self._earlier: OpenVolumes | None = None
        self._order = Order()
        self._ended_volumes: list[tuple[int, Volume]] = []
        self._read_volumes: list[TarballReader] = []
        self._number = 0
        self._committed = False

    def write(
        self, key: str, *, size_bytes: int | None = None, exclusive: bool = False
    ) -> AbstractContextManager[ByteWriter]:
        """Write one object; see `Store.write`. Of several writes of a key the one that was completed last counts.

        Raises:
            UsageError: This thread is in the middle of another large object.
            UnavailableError: It came with another size than announced, and was too large to wait in memory.
        """
        check_path(key)
        if key in PLAIN:
            return self._outer.write(key, size_bytes=size_bytes, exclusive=exclusive)
        if exclusive:
            self._require_new(key)
        return write_member(
            self._lanes, self._outer, f"{FOLDER}/", key, size_bytes=size_bytes, hold_bytes=self._hold_bytes
        )

    def create(self, key: str, data: bytes) -> None:
        """Write a small object if there is none."""
        if check_path(key) in PLAIN:
            self._outer.create(key, data)
        else:
            self._require_new(key)
            self._lanes.add(key, [data], len(data))

    def commit(self, key: str, data: bytes) -> None:
        """End the volumes, write their list, then the last object.

        Raises:
            ConflictError: There is one already.
        """
        self._require_new(key)
        self._lanes.finish()
        volumes = (*self._tables().volumes, *(volume for _, volume in sorted(self._ended_volumes, key=itemgetter(0))))
        with self._outer.write(VOLUMES) as writer:
            writer.write(list_bytes(volumes))
        self._outer.create(key, data)
        self._committed = True

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        """Yield an object of a volume that was complete when this store was opened, or one beside them."""
        if check_path(key) in PLAIN:
            yield from self._outer.read(key, start=start, size_bytes=size_bytes)
            return
        yield from self._earlier_volume(key).read(key, start=start, size_bytes=size_bytes)

    def read_all(self, key: str, *, limit_bytes: int) -> bytes:
        """Return such an object."""
        if check_path(key) in PLAIN:
            return self._outer.read_all(key, limit_bytes=limit_bytes)
        return self._earlier_volume(key).read_all(key, limit_bytes=limit_bytes)

    def size_bytes(self, key: str) -> int | None:
        """Return the size of an object that was written."""
        if check_path(key) in PLAIN:
            return self._outer.size_bytes(key)
        for packer in self._lanes.open_packers():
            size = packer.find(key)
            if size is not None:
                return size
        found = next((reader.table.find(key) for reader in self._own_volumes() if reader.table.find(key)), None)
        return found[1] if found else self._tables().size_bytes(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield what is beside the volumes, and what is in those that were complete when this store was opened."""
        known = {volume.path for volume in self._tables().volumes}
        if not prefix:
            for found in self._outer.list():
                if found.key not in known:
                    yield found
        yield from self._tables().list(prefix)

    def delete(self, key: str) -> None:
        """Leave an object out.

        Raises:
            UsageError: It is in a complete volume.
        """
        if check_path(key) in PLAIN:
            self._outer.delete(key)
        elif any(volumes.table.find(key) for volumes in (*self._own_volumes(), *self._tables().readers)):
            raise UsageError(f"{key} cannot be deleted: it is in a finished volume of {self.url}.")
        else:
            for packer in self._lanes.open_packers():
                packer.drop(key)

    def sweep(self) -> int:
        """Delete what interrupted writes left behind."""
        return self._outer.sweep()

    def close(self) -> None:
        """Complete what is open if there was no commit, so that it need not be written again; end the threads."""
        if not self._committed:
            with suppress(MlflowArchiveError):
                self._lanes.finish()
        self._lanes.abort()
        self._pool.shutdown(wait=True, cancel_futures=True)
        self._outer.close()

    def _require_new(self, key: str) -> None:
        if self.size_bytes(key) is not None:
            raise ConflictError(f"There is already a {key} at {self.url}.")

    def _begin(self) -> Packer:
        if self._committed:
            raise UsageError(f"Nothing can be added to the volumes at {self.url}: they are complete.")
        tables = self._tables()
        with self._lock:
            self._number = max(self._number, tables.last_number) + 1
            path = volume_path(self._number, self._codec.name)
        return Packer(self._outer, path, self._codec, self._pool, self._order)

    def _ended(self, packer: Packer) -> None:
        size = packer.stored_bytes + packer.table_bytes
        with self._lock:
            self._ended_volumes.append((packer.ended, Volume(packer.key, size, packer.stored_bytes)))

    def _own_volumes(self) -> tuple[TarballReader, ...]:
        """Return the volumes that this store has ended, the last first; they are opened only when this is asked."""
        with self._lock:
            for _, volume in self._ended_volumes[len(self._read_volumes) :]:
                end = volume.size_bytes, volume.table_offset
                self._read_volumes.append(TarballReader.open(self._outer, volume.path, url=self.url, end=end))
            return tuple(reversed(self._read_volumes))

    def _tables(self) -> OpenVolumes:
        """Return what earlier attempts completed; asked for once."""
        with self._lock:
            if self._earlier is None:
                found = sorted(
                    (number, stored.key, stored.size_bytes)
                    for stored in self._outer.list(FOLDER)
                    if (number := volume_number(stored.key)) is not None
                )
                self._earlier = OpenVolumes.found(self._outer, found)
            return self._earlier

    def _earlier_volume(self, key: str) -> Store:
        volume = self._tables().holder(key)
        if volume is None:
            raise NotFoundError(f"{key} is in no complete volume of {self.url}.")
        return volume
