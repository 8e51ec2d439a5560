"""A zip as a store."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mlflow_archive.errors import IntegrityError, NotAnArchiveError, NotFoundError, UsageError
from mlflow_archive.storage.containers import open_foreign
from mlflow_archive.storage.packed.zip_reader import ZipReader
from mlflow_archive.storage.store import Store


def zipped(files: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", method) as file:
        for name, content in files.items():
            file.writestr(name, content)
    return data.getvalue()


def opened(tmp_path: Path, files: Mapping[str, bytes]) -> Store:
    (tmp_path / "a.zip").write_bytes(zipped(files))
    return open_foreign(str(tmp_path / "a.zip"))


FILES = {"run.json": b"{}", "artifacts/na me #1": b"x" * 3_000_000, "artifacts/ü": b""}


def test_files_are_found_and_read(tmp_path: Path):
    store = opened(tmp_path, FILES)
    assert isinstance(store, ZipReader)
    assert {found.key: found.size_bytes for found in store.list()} == {name: len(data) for name, data in FILES.items()}
    assert {found.key for found in store.list("artifacts")} == {"artifacts/na me #1", "artifacts/ü"}
    assert (store.size_bytes("run.json"), store.size_bytes("no")) == (2, None)
    assert store.read_all("run.json", limit_bytes=2) == b"{}"
    assert b"".join(store.read("artifacts/na me #1")) == FILES["artifacts/na me #1"]
    assert b"".join(store.read("artifacts/na me #1", start=2_999_990, size_bytes=5)) == b"xxxxx"
    assert max(map(len, store.read("artifacts/na me #1"))) <= 1 << 20
    store.close()


def test_several_threads_read_at_once(tmp_path: Path):
    files = {f"f{number}": bytes([number]) * 200_000 for number in range(20)}
    store = opened(tmp_path, files)
    with ThreadPoolExecutor(8) as pool:
        read = list(pool.map(lambda name: b"".join(store.read(name)), files))
    assert read == list(files.values())


def test_a_folder_around_everything_is_left_out(tmp_path: Path):
    store = opened(tmp_path, {"export/run.json": b"{}", "export/artifacts/a": b"a"})
    assert {found.key for found in store.list()} == {"run.json", "artifacts/a"}


def test_nothing_can_be_written(tmp_path: Path):
    store = opened(tmp_path, FILES)
    with pytest.raises(UsageError):
        store.create("x", b"")
    with pytest.raises(UsageError):
        store.delete("run.json")


def test_what_is_not_there(tmp_path: Path):
    store = opened(tmp_path, FILES)
    with pytest.raises(NotFoundError):
        next(store.read("no"))
    with pytest.raises(IntegrityError):
        store.read_all("artifacts/na me #1", limit_bytes=100)


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "a//x"])
def test_names_that_leave_the_root_are_refused(name: str, tmp_path: Path):
    with pytest.raises(IntegrityError):
        opened(tmp_path, {"run.json": b"{}", name: b"x"})


@pytest.mark.parametrize("data", [b"", b"PK", zipped(FILES)[:-30], b"\x00" * 100_000])
def test_what_is_no_zip(data: bytes, tmp_path: Path):
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(NotAnArchiveError):
        open_foreign(str(tmp_path / "a.zip"))


def test_damaged_bytes_are_told(tmp_path: Path):
    data = bytearray(zipped({"run.json": b"{}", "a": b"0123456789" * 100}, zipfile.ZIP_STORED))
    data[data.find(b"0123456789") + 5] ^= 1
    (tmp_path / "a.zip").write_bytes(bytes(data))
    store = open_foreign(str(tmp_path / "a.zip"))
    with pytest.raises(IntegrityError, match="cannot be unpacked"):
        list(store.read("a"))
    assert store.read_all("run.json", limit_bytes=100) == b"{}"
