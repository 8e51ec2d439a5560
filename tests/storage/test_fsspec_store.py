"""The generic store, on two file systems of our own making: an object store that takes objects in pieces, as S3
does, and one that shows files while they are written, as SFTP does."""

from __future__ import annotations

import io
import threading

import pytest
from fsspec.implementations.dirfs import DirFileSystem
from fsspec.implementations.local import LocalFileSystem
from fsspec.spec import AbstractBufferedFile, AbstractFileSystem

from mlflow_archive.errors import NotAuthorisedError, UnavailableError
from mlflow_archive.storage import fsspec_store
from mlflow_archive.storage.fsspec_store import FsspecStore
from tests.storage.conformance import StoreTests, write


class PiecesFileSystem(AbstractFileSystem):
    """Objects in a dictionary; an upload shows when it is completed, and `uploads` are those under way."""

    protocol = "s3"
    cachable = False

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.objects: dict[str, bytes] = {}
        self.uploads: dict[int, list[bytes]] = {}
        self.lock = threading.Lock()

    def _open(self, path, mode="rb", block_size=None, **kwargs):
        if mode == "rb" and self._strip_protocol(path) not in self.objects:
            raise FileNotFoundError(path)
        if mode == "rb":
            return io.BytesIO(self.objects[self._strip_protocol(path)])
        return PiecesFile(self, self._strip_protocol(path), mode, block_size=5 << 20)

    def info(self, path, **kwargs):
        path = self._strip_protocol(path)
        if path in self.objects:
            return {"name": path, "size": len(self.objects[path]), "type": "file"}
        if any(name.startswith(path + "/") for name in list(self.objects)):
            return {"name": path, "size": 0, "type": "directory"}
        raise FileNotFoundError(path)

    def find(self, path, maxdepth=None, withdirs=False, detail=False, **kwargs):
        start = self._strip_protocol(path)
        return {name: self.info(name) for name in list(self.objects) if name.startswith(start)}

    def pipe_file(self, path, value, mode="overwrite", **kwargs):
        with self.lock:
            if mode == "create" and self._strip_protocol(path) in self.objects:
                raise FileExistsError(path)
            self.objects[self._strip_protocol(path)] = value

    def rm_file(self, path):
        try:
            del self.objects[self._strip_protocol(path)]
        except KeyError as error:
            raise FileNotFoundError(path) from error


class PiecesFile(AbstractBufferedFile):
    def _initiate_upload(self):
        self.fs.uploads[id(self)] = []

    def _upload_chunk(self, final=False):
        self.fs.uploads[id(self)].append(self.buffer.getvalue())
        if final:
            self.fs.objects[self.path] = b"".join(self.fs.uploads.pop(id(self)))
        return True

    def discard(self):
        self.fs.uploads.pop(id(self), None)


class TestObjectsInPieces(StoreTests):
    @pytest.fixture
    def store(self):
        store = FsspecStore(PiecesFileSystem(), "bucket/root", "s3://bucket/root")
        yield store
        assert store._fs.uploads == {}, "no upload is left open"

    def raw_read(self, store, key):
        return store._fs.objects.get(f"bucket/root/{key}")

    def raw_write(self, store, key, data):
        store._fs.objects[f"bucket/root/{key}"] = data


class VisibleFileSystem(LocalFileSystem):
    """Shows a file from its first byte."""

    protocol = "visible"
    cachable = False


class TestFilesThatShow(StoreTests):
    exclusive_create = False

    @pytest.fixture
    def store(self, tmp_path):
        return FsspecStore(VisibleFileSystem(auto_mkdir=True), str(tmp_path / "root"), f"visible://{tmp_path}/root")

    def _path(self, store, key):
        from pathlib import Path

        return Path(store.url.removeprefix("visible://"), key)

    def raw_read(self, store, key):
        path = self._path(store, key)
        return path.read_bytes() if path.is_file() else None

    def raw_write(self, store, key, data):
        path = self._path(store, key)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def raw_keys(self, store):
        root = self._path(store, "")
        return {path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file()}

    def test_sweep_deletes_what_was_left(self, store):
        self.raw_write(store, "a/.mla-0123abcd.part", b"x")
        self.raw_write(store, "a/key", b"x")
        assert [found.key for found in store.list()] == ["a/key"]
        assert store.sweep() == 1
        assert self.raw_keys(store) == {"a/key"}


class TestAFolderOfAnotherFileSystem(TestFilesThatShow):
    """fsspec's ``dir``, which puts a folder before all names."""

    @pytest.fixture
    def store(self, tmp_path):
        fs = DirFileSystem(path=str(tmp_path), fs=LocalFileSystem(auto_mkdir=True, skip_instance_cache=True))
        return FsspecStore(fs, "root", f"visible://{tmp_path}/root")


def test_a_large_object_is_read_in_blocks(monkeypatch):
    monkeypatch.setattr(fsspec_store, "READ_BYTES", 1000)
    fs = PiecesFileSystem()
    store = FsspecStore(fs, "bucket", "s3://bucket")
    for size in (0, 999, 1000, 1001, 3500):
        data = bytes(range(250)) * 20
        write(store, "key", data[:size])
        assert b"".join(store.read("key")) == data[:size]
        assert b"".join(store.read("key", start=7, size_bytes=2000)) == data[7:size][:2000]


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (PermissionError("no"), NotAuthorisedError),
        (TimeoutError("slow"), UnavailableError),
        (ConnectionResetError("gone"), UnavailableError),
        (OSError(28, "No space left on device"), UnavailableError),
    ],
)
def test_a_backends_errors_become_ours(error, expected, monkeypatch):
    fs = PiecesFileSystem()
    store = FsspecStore(fs, "bucket", "s3://bucket")
    write(store, "key", b"x")

    def fail(*args, **kwargs):
        raise error

    for name in ("open", "info", "find", "cat_file", "pipe_file", "rm_file"):
        monkeypatch.setattr(fs, name, fail)
    for call in (
        lambda: write(store, "key", b"y"),
        lambda: list(store.read("key")),
        lambda: store.read_all("key", limit_bytes=5),
        lambda: store.size_bytes("key"),
        lambda: list(store.list()),
        lambda: store.delete("key"),
        lambda: store.create("new", b"x"),
    ):
        with pytest.raises(expected, match="s3://bucket"):
            call()
    assert fs.objects == {"bucket/key": b"x"}


def test_an_upload_that_fails_at_the_end_leaves_the_old_object(monkeypatch):
    fs = PiecesFileSystem()
    store = FsspecStore(fs, "bucket", "s3://bucket")
    write(store, "key", b"old")

    def fail(self, final=False):
        raise ConnectionResetError("gone")

    monkeypatch.setattr(PiecesFile, "_upload_chunk", fail)
    with pytest.raises(UnavailableError):
        write(store, "key", b"new")
    monkeypatch.undo()
    import gc

    gc.collect()
    assert fs.objects == {"bucket/key": b"old"}
    assert fs.uploads == {}
