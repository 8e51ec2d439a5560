from __future__ import annotations

import subprocess
import sys

import fsspec
import pytest

from mlflow_archive.errors import UnsupportedError, UsageError
from mlflow_archive.storage import opening
from mlflow_archive.storage.fsspec_store import FsspecStore
from mlflow_archive.storage.local_store import LocalStore
from mlflow_archive.storage.memory_store import MemoryStore
from mlflow_archive.storage.opening import open_store, public_url
from tests.storage.conformance import write


def test_a_path_is_a_local_store(tmp_path):
    store = open_store(f"{tmp_path}/a b#c?d%20e")
    assert isinstance(store, LocalStore)
    assert store.url == f"{tmp_path}/a b#c?d%20e"
    write(store, "key", b"x")
    assert (tmp_path / "a b#c?d%20e" / "key").read_bytes() == b"x"


@pytest.mark.parametrize("host", ["", "localhost"])
def test_a_file_url_is_a_local_store(tmp_path, host):
    store = open_store(f"file://{host}{tmp_path}/a%20b")
    write(store, "key", b"x")
    assert (tmp_path / "a b" / "key").read_bytes() == b"x"


def test_a_relative_path_is_fixed_when_opened(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    store = open_store("here")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    write(store, "key", b"x")
    assert (tmp_path / "here" / "key").read_bytes() == b"x"


def test_memory_is_a_memory_store():
    assert isinstance(open_store("memory://place"), MemoryStore)


def test_any_other_protocol_is_fsspecs(tmp_path):
    import fsspec
    from fsspec.implementations.local import LocalFileSystem

    class Other(LocalFileSystem):
        protocol = "other"

    fsspec.register_implementation("other", Other, clobber=True)
    store = open_store(f"other://{tmp_path}/root", storage_options={"auto_mkdir": True})
    assert isinstance(store, FsspecStore)
    assert store._fs.auto_mkdir is True
    assert store._fs.dircache.use_listings_cache is False
    assert open_store(f"other://{tmp_path}/root")._fs is not store._fs


def test_opening_creates_nothing(tmp_path):
    open_store(f"{tmp_path}/root")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("", "empty"),
        ("file://otherhost/path", "names a host"),
        ("nosuchprotocol://x/y", "nosuchprotocol"),
        ("zip://inner::s3://bucket/x", "chain"),
    ],
)
def test_urls_without_meaning(url, message):
    with pytest.raises(UsageError, match=message):
        open_store(url)


def test_local_paths_take_no_options(tmp_path):
    with pytest.raises(UsageError, match="storage options"):
        open_store(str(tmp_path), storage_options={"key": "x"})


def test_a_missing_package_is_named(monkeypatch):
    def missing(*args, **kwargs):
        raise ImportError("Install s3fs to access S3")

    monkeypatch.setattr(opening.fsspec, "url_to_fs", missing)
    with pytest.raises(UnsupportedError, match=r"pip install 'mlflow-archive\[s3\]'"):
        open_store("s3://bucket/x")


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("s3://key:secret@bucket/path?token=t#f", "s3://bucket/path"),
        ("sftp://user:p@ss@host:22/dir", "sftp://host:22/dir"),
        ("memory://x/y", "memory://x/y"),
        ("/plain/path?with#signs@all", "/plain/path?with#signs@all"),
        ("abfs://container@account.dfs.core.windows.net/x", "abfs://container@account.dfs.core.windows.net/x"),
        ("C:/windows/path", "C:/windows/path"),
    ],
)
def test_urls_for_people_have_no_credentials(url, shown):
    assert public_url(url) == shown


def test_opening_a_local_store_does_not_import_mlflow():
    code = "import sys; from mlflow_archive.storage.opening import open_store; open_store('x'); "
    code += "print('mlflow' in sys.modules)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout == "False\n"


def test_a_missing_http_package_is_called_by_its_right_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(*args: object, **options: object) -> None:
        raise ImportError

    monkeypatch.setattr(fsspec, "url_to_fs", missing)

    with pytest.raises(UnsupportedError, match="pip install 'aiohttp'"):
        open_store("https://example.com/archive")


@pytest.mark.parametrize("options", [{"key": "hunter2"}, {"client_kwargs": {"password": "hunter2"}}])
def test_the_value_of_an_option_is_in_no_message(monkeypatch: pytest.MonkeyPatch, options: dict) -> None:
    def refuse(url: str, **given: object) -> None:
        raise ValueError(f"what is {given}?")

    monkeypatch.setattr("fsspec.url_to_fs", refuse)

    with pytest.raises(UsageError) as caught:
        open_store("memory://x", storage_options=options)

    assert "hunter2" not in str(caught.value)
