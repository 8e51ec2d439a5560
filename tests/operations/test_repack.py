"""Repack: the same archive in another container, or nothing."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

import mlflow_archive as ma
from mlflow_archive.archive.place import read_commit
from mlflow_archive.errors import ConflictError, IntegrityError, UnavailableError, UnsupportedError, UsageError
from mlflow_archive.events import BytesMoved, Event, ItemFinished, SectionStarted, Silence, TransferFinished
from mlflow_archive.operations.backup import archive
from mlflow_archive.operations.repack import copy_archive
from mlflow_archive.spec.manifest import Manifest, Marker
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.hashing import sha256_of
from mlflow_archive.storage.local_store import LocalStore
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.store import ByteWriter, Store
from tests.archive.fakes import sample_source

CONTAINERS = {
    "tree": {},
    "tarball.tar": {},
    "tarball.tar.gz": {},
    "tarball.tar.zst": {"level": 3},
    "volumes": {"container": "volumes", "volume_bytes": 1 << 20},
    "gzip volumes": {"container": "volumes", "compression": "gzip"},
    "odd name": {"container": "tarball", "compression": "none"},
}


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "original"
    with closing(open_store(str(folder))) as store:
        archive(sample_source(), store, Selection(), parallelism=2)
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def digest(folder: Path) -> str:
    return sha256_of((folder / "manifest.json").read_bytes())


@pytest.mark.parametrize("place", ["memory", "local"])
@pytest.mark.parametrize("name", CONTAINERS)
def test_there_and_back_again_it_is_the_same_archive(tree: Path, tmp_path: Path, name: str, place: str) -> None:
    there = f"{tmp_path}/{name}" if place == "local" else f"memory://repack/{tmp_path.name}/{name}"

    report = ma.repack(str(tree), there, **CONTAINERS[name])  # type: ignore[arg-type]
    back = ma.repack(there, str(tmp_path / "back"))

    assert report.root_digest == back.root_digest == digest(tree)
    assert contents(tmp_path / "back") == contents(tree)
    assert report.files == len(contents(tree))
    assert report.size_bytes == sum(map(len, contents(tree).values()))
    assert ma.verify(there, level="restorable").ok
    assert ma.diff(str(tree), there).same


def test_the_report_is_json(tree: Path, tmp_path: Path) -> None:
    report = ma.repack(str(tree), str(tmp_path / "copy"))

    document = json.loads(json.dumps(report.to_json()))
    assert document["root_digest"] == digest(tree)
    assert document["objects"] == report.objects > 0
    assert (document["kept_files"], document["kept_bytes"]) == (0, 0)


def test_it_tells_its_progress(tree: Path, tmp_path: Path) -> None:
    events: list[Event] = []

    class Listener:
        def notify(self, event: Event) -> None:
            events.append(event)

    report = ma.repack(str(tree), str(tmp_path / "copy"), observer=Listener())

    assert sum(event.size_bytes for event in events if isinstance(event, BytesMoved)) == report.size_bytes
    assert sum(isinstance(event, ItemFinished) for event in events) == report.objects
    assert any(isinstance(event, SectionStarted) for event in events)
    assert isinstance(events[-1], TransferFinished)


@pytest.mark.parametrize("container", [{}, {"container": "volumes"}, {"container": "tarball"}], ids=str)
def test_a_damaged_file_is_copied_to_no_archive(tree: Path, tmp_path: Path, container: dict[str, str]) -> None:
    target = tmp_path / "copy"
    names = sorted(name for name in contents(tree) if name not in ("manifest.json", "mlflow-archive.json"))
    for name in names[:: 3 if container else 2]:
        whole = (tree / name).read_bytes()
        (tree / name).write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]) if whole else b"x")

        with pytest.raises(IntegrityError) as caught:
            ma.repack(str(tree), str(target), **container)  # type: ignore[arg-type]

        assert name in str(caught.value)
        with pytest.raises(ma.NotAnArchiveError):
            ma.ls(str(target))
        (tree / name).write_bytes(whole)
        if target.is_dir():
            shutil.rmtree(target)


def test_a_missing_file_ends_it(tree: Path, tmp_path: Path) -> None:
    blob = next(tree.rglob("artifacts/*"))
    blob.unlink() if blob.is_file() else shutil.rmtree(blob)

    with pytest.raises(IntegrityError, match="E040"):
        ma.repack(str(tree), str(tmp_path / "copy"))


def test_what_no_descriptor_names_stays_behind(tree: Path, tmp_path: Path) -> None:
    (tree / "stray.txt").write_text("nobody's")

    ma.repack(str(tree), str(tmp_path / "copy"))

    assert not (tmp_path / "copy" / "stray.txt").exists()


class FailingStore(LocalStore):
    """Breaks off at the n-th write."""

    def __init__(self, root: Path, writes: int) -> None:
        super().__init__(root)
        self.left = writes
        self.written: list[str] = []

    @contextmanager
    def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
        self.left -= 1
        if self.left < 0:
            raise UnavailableError("gone")
        with super().write(key, size_bytes=size_bytes, exclusive=exclusive) as writer:
            yield writer
        self.written.append(key)


def test_it_goes_on_where_it_was_interrupted(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    total = len(contents(tree))
    for cut in range(1, total, total // 4):
        failing = FailingStore(target, cut)
        with pytest.raises(UnavailableError):
            copy_archive(LocalStore(tree), failing, parallelism=3, observer=Silence())
        if not (target / "mlflow-archive.json").exists():
            continue
        with pytest.raises(ConflictError, match="--resume"):
            ma.repack(str(tree), str(target))

        report = ma.repack(str(tree), str(target), resume=True)

        assert contents(target) == contents(tree)
        assert report.kept_files == len(failing.written)
        assert report.files == total
        shutil.rmtree(target)


def test_what_is_there_is_kept_only_with_the_right_digest(tree: Path, tmp_path: Path) -> None:
    target = tmp_path / "copy"
    shutil.copytree(tree, target)
    (target / "manifest.json").unlink()
    blob = max((path for path in target.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    blob.write_bytes(b"\0" * blob.stat().st_size)

    report = ma.repack(str(tree), str(target), resume=True)

    assert contents(target) == contents(tree)
    assert report.kept_files == len(contents(tree)) - 3  # marker, manifest, and what was wrong


def test_resume_begins_at_an_empty_place(tree: Path, tmp_path: Path) -> None:
    assert ma.repack(str(tree), str(tmp_path / "copy"), resume=True).kept_files == 0


def test_volumes_are_gone_on_with(tree: Path, tmp_path: Path) -> None:
    target = f"{tmp_path}/volumes"
    ma.repack(str(tree), target, container="volumes", volume_bytes=1 << 20)
    (tmp_path / "volumes" / "manifest.json").unlink()
    (tmp_path / "volumes" / "volumes.json").unlink()

    report = ma.repack(str(tree), target, container="volumes", resume=True)

    assert report.kept_files > 0
    assert report.root_digest == digest(tree)
    assert ma.verify(target, level="restorable").problems == ()


@pytest.mark.parametrize("options", [{}, {"container": "tarball"}], ids=str)
def test_a_tarball_is_not_gone_on_with(tree: Path, tmp_path: Path, options: dict[str, str]) -> None:
    name = "copy" if options else "copy.tar.zst"

    with pytest.raises(UsageError, match="volumes"):
        ma.repack(str(tree), str(tmp_path / name), resume=True, **options)  # type: ignore[arg-type]

    assert not (tmp_path / name).exists()


def begun_backup(target: Path) -> None:
    target.mkdir()
    (target / "mlflow-archive.json").write_text(
        '{"archive_id":"00000000-0000-4000-8000-000000000000","format":"mlflow-archive","spec_version":"1.0"}'
    )


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda target: shutil.copytree(target.parent / "original", target), "complete archive"),
        (begun_backup, "another archive"),
        (lambda target: (target.mkdir(), (target / "mine.txt").write_text("x")), "not empty"),
    ],
)
@pytest.mark.parametrize("resume", [False, True])
def test_what_is_at_the_target_stays(
    tree: Path, tmp_path: Path, prepare: Callable[[Path], object], message: str, resume: bool
) -> None:
    target = tmp_path / "copy"
    prepare(target)
    before = contents(target)

    with pytest.raises(ConflictError, match=message):
        ma.repack(str(tree), str(target), resume=resume)

    assert contents(target) == before


def test_one_of_two_writers_wins(tree: Path, tmp_path: Path) -> None:
    target = LocalStore(tmp_path / "copy")

    class Rival(LocalStore):
        def commit(self, key: str, data: bytes) -> None:
            target.create(key, data)
            super().commit(key, data)

    with pytest.raises(ConflictError, match="meanwhile"):
        copy_archive(LocalStore(tree), Rival(tmp_path / "copy"), observer=Silence())


@pytest.mark.parametrize("meets_a_mixture", [False, True])
def test_a_writer_whose_archive_is_replaced_has_lost(
    tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, meets_a_mixture: bool
) -> None:
    """Where a place cannot refuse the second writer, the first one finds the other's archive when it reads back."""
    target, other = tmp_path / "copy.tar", tmp_path / "other.tar"
    with closing(open_store(str(tmp_path / "theirs"))) as store:
        archive(sample_source(), store, Selection())
    ma.repack(str(tmp_path / "theirs"), str(other))

    class Rival:
        def notify(self, event: Event) -> None:
            if isinstance(event, BytesMoved) and target.exists():
                target.write_bytes(other.read_bytes())

    if meets_a_mixture:
        answers = [IntegrityError("half of one and half of the other")]

        def read(store: Store) -> tuple[Marker, Manifest, bytes]:
            if store.url.endswith("copy.tar") and answers:
                raise answers.pop()
            return read_commit(store)

        monkeypatch.setattr("mlflow_archive.operations.repack.read_commit", read)

    with pytest.raises(ConflictError, match="Another writer has replaced"):
        ma.repack(str(tree), str(target), observer=Rival())

    assert target.read_bytes() == other.read_bytes()


def edit(tree: Path, name: str, change: Callable[[dict], object]) -> None:
    """Change a document at the root, and make the manifest vouch for it."""
    path = tree / name
    document = json.loads(path.read_bytes())
    change(document)
    path.write_text(json.dumps(document))
    if name != "manifest.json":
        data = path.read_bytes()

        def vouch(manifest: dict) -> None:
            for file in manifest["files"]:
                if file["path"] == name:
                    file.update(size_bytes=len(data), sha256=sha256_of(data))

        edit(tree, "manifest.json", vouch)


def test_a_newer_minor_version_is_refused(tree: Path, tmp_path: Path) -> None:
    for name in ("mlflow-archive.json", "manifest.json"):
        edit(tree, name, lambda document: document.update(spec_version="1.99"))

    with pytest.raises(UnsupportedError, match=r"1\.99"):
        ma.repack(str(tree), str(tmp_path / "copy"))

    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    ("path", "rule"),
    [
        ("manifest.json", "E022"),
        ("README.txt", "E022"),
        ("experiments/index.jsonl", "E022"),
        ("../outside", "E020"),
    ],
)
def test_a_manifest_that_names_a_file_twice_is_refused(tree: Path, tmp_path: Path, path: str, rule: str) -> None:
    data = (tree / path).read_bytes() if (tree / path).exists() else b"x"
    named = {"path": path, "media_type": "text/plain", "size_bytes": len(data), "sha256": sha256_of(data)}
    edit(tree, "manifest.json", lambda document: document["files"].append(named))

    with pytest.raises(IntegrityError, match=rule):
        ma.repack(str(tree), str(tmp_path / "copy"))

    assert not (tmp_path / "copy" / "manifest.json").exists()
    assert not (tmp_path / "outside").exists()


def test_a_section_that_is_there_twice_is_refused(tree: Path, tmp_path: Path) -> None:
    edit(tree, "manifest.json", lambda document: document["sections"].append(document["sections"][0]))

    with pytest.raises(IntegrityError, match="E053"):
        ma.repack(str(tree), str(tmp_path / "copy"))


def test_a_limit_of_bytes_a_second_is_kept(tree: Path, tmp_path: Path) -> None:
    size = sum(map(len, contents(tree).values()))

    report = ma.repack(str(tree), str(tmp_path / "copy"), max_bytes_per_second=size / 2)

    assert report.seconds >= 1.5


def test_each_place_has_its_own_storage_options(tree: Path, tmp_path: Path) -> None:
    far = f"memory://options/{tmp_path.name}"

    ma.repack(str(tree), far, storage_options={"skip_instance_cache": True})
    ma.repack(far, str(tmp_path / "back"), src_storage_options={"skip_instance_cache": True})

    with pytest.raises(UsageError, match="takes no storage options"):
        ma.repack(str(tree), str(tmp_path / "other"), storage_options={"anon": True})
    with pytest.raises(UsageError, match="takes no storage options"):
        ma.repack(far, str(tmp_path / "other"), dst_storage_options={"anon": True})
    with closing(open_store(far)) as store:
        assert sha256_of(read_commit(store)[2]) == digest(tree)
