"""Doctor: what a place lacks is named, what it is good for is said, and nothing stays there."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

import mlflow_archive as ma
from mlflow_archive.errors import ExitCode, NotAuthorisedError, NotFoundError, UnavailableError, UsageError
from mlflow_archive.events import Event, Note
from mlflow_archive.operations import doctor as module
from mlflow_archive.operations.doctor import DoctorReport, doctor
from mlflow_archive.operations.store_speed import Extent
from mlflow_archive.storage.local_store import LocalStore
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.store import ByteWriter, Store, StoredObject

LITTLE = Extent(stream_bytes=2 << 20, small_objects=10)


@pytest.mark.parametrize("place", ["local", "memory"])
def test_a_good_place_passes_and_stays_as_it_was(tmp_path: Path, place: str) -> None:
    url = str(tmp_path) if place == "local" else f"memory://doctor/{tmp_path.name}"
    with open_store(url).write("mine.txt") as writer:
        writer.write(b"mine")

    report = doctor(url, extent=LITTLE)

    assert (report.ok, report.exit_code, report.left_behind) == (True, ExitCode.DONE, ())
    assert {check.status for check in report.checks} == {"passed"}
    assert len(report.checks) == 10
    assert report.figures is not None
    assert report.figures.up_bytes_per_second > 0
    assert report.advice
    assert [found.key for found in open_store(url).list()] == ["mine.txt"]
    if place == "local":
        assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_the_report_is_json(tmp_path: Path) -> None:
    report = doctor(str(tmp_path), seed=7, extent=LITTLE)

    document = json.loads(json.dumps(report.to_json()))
    assert (document["ok"], document["seed"], document["left_behind"]) == (True, 7, [])
    assert {check["name"] for check in document["checks"]} >= {"ranges", "contending", "aborting"}
    assert document["figures"]["small_objects"] == 10


def test_steps_are_told(tmp_path: Path) -> None:
    notes: list[str] = []

    class Listener:
        def notify(self, event: Event) -> None:
            assert isinstance(event, Note)
            notes.append(event.message)

    doctor(str(tmp_path), extent=LITTLE, observer=Listener())

    assert len(notes) >= 12
    assert notes[-1] == "Cleaning up"


class BadStore(LocalStore):
    """A directory with a fault of its own."""

    fault = ""

    @contextmanager
    def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
        if self.fault == "half-written" and key.startswith("aborting"):
            chunks: list[bytes] = []

            class Keeper:
                def write(self, data: bytes) -> None:
                    chunks.append(data)

            try:
                yield Keeper()
            finally:
                with super().write(key) as writer:
                    writer.write(b"".join(chunks))
            return
        with super().write(key, size_bytes=size_bytes) as writer:
            yield writer

    def create(self, key: str, data: bytes) -> None:
        if self.fault == "no exclusive create" or (self.fault == "racing create" and key.startswith("contending")):
            with self.write(key) as writer:
                writer.write(data)
        else:
            super().create(key, data)

    def read(self, key: str, *, start: int = 0, size_bytes: int | None = None) -> Iterator[bytes]:
        if self.fault == "ranges ignored":
            start, size_bytes = 0, None
        if self.fault == "no rights to read":
            raise NotAuthorisedError("There is no permission to read.")
        yield from super().read(key, start=start, size_bytes=size_bytes)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        for found in super().list(prefix):
            if self.fault == "incomplete listing" and found.key.endswith("7"):
                continue
            if self.fault == "keys changed" and "%" in found.key and "strange" in found.key:
                yield StoredObject(found.key.replace("%20", " "), found.size_bytes)
            else:
                yield found

    def delete(self, key: str) -> None:
        if self.fault == "no rights to delete":
            raise NotAuthorisedError("There is no permission to delete.")
        if self.fault != "nothing deleted":
            super().delete(key)

    def size_bytes(self, key: str) -> int | None:
        size = super().size_bytes(key)
        if self.fault == "old sizes" and key == "overwriting/object" and size == 5000:
            return 5
        return size


@pytest.fixture
def examine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], DoctorReport]:
    def run(fault: str) -> DoctorReport:
        class Faulty(BadStore):
            pass

        Faulty.fault = fault
        monkeypatch.setattr(module, "open_store", lambda url, storage_options: Faulty(Path(url)))
        return doctor(str(tmp_path), extent=LITTLE)

    return run


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        ("half-written", "aborting"),
        ("no exclusive create", "creating"),
        ("ranges ignored", "ranges"),
        ("incomplete listing", "listing"),
        ("keys changed", "strange_keys"),
        ("nothing deleted", "deleting"),
        ("old sizes", "overwriting"),
    ],
)
def test_what_a_place_must_do_and_does_not_is_named(
    examine: Callable[[str], DoctorReport], fault: str, name: str
) -> None:
    report = examine(fault)

    assert name in {check.name for check in report.checks if check.status == "failed"}
    assert (report.ok, report.exit_code) == (False, ExitCode.FAILED)
    assert "Do not keep archives here" in report.advice[0]


def test_a_place_without_one_winner_is_good_with_a_warning(examine: Callable[[str], DoctorReport]) -> None:
    report = examine("racing create")

    (absent,) = [check for check in report.checks if check.status != "passed"]
    assert (absent.name, absent.status, absent.must) == ("contending", "absent", False)
    assert (report.ok, report.exit_code) == (True, ExitCode.DONE)
    assert "do not exclude each other" in report.advice[0]


@pytest.mark.parametrize("fault", ["no rights to read", "no rights to delete"])
def test_missing_rights_are_their_own_exit_code(examine: Callable[[str], DoctorReport], fault: str) -> None:
    report = examine(fault)

    assert report.exit_code == ExitCode.NOT_AUTHORISED
    assert bool(report.left_behind) == (fault == "no rights to delete")
    if report.left_behind:
        assert "could not be deleted" in report.advice[-1]


def test_without_the_right_to_write_nothing_else_is_tried(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Closed(LocalStore):
        @contextmanager
        def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
            raise NotAuthorisedError("There is no permission to write.")
            yield

    monkeypatch.setattr(module, "open_store", lambda url, storage_options: Closed(Path(url)))

    with pytest.raises(NotAuthorisedError):
        doctor(str(tmp_path))


def test_the_place_of_an_error_is_the_one_that_was_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Absent(LocalStore):
        @contextmanager
        def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
            raise NotFoundError(f"There is no bucket for {self.url}; {self.url}/{key} is not there.", code="no_bucket")
            yield

    monkeypatch.setattr(module, "open_store", lambda url, storage_options: Absent(Path(url), url=url))

    with pytest.raises(NotFoundError) as raised:
        doctor(f"{tmp_path}/place/")

    assert str(raised.value) == f"There is no bucket for {tmp_path}/place; {tmp_path}/place is not there."
    assert raised.value.code == "no_bucket"


@pytest.mark.parametrize("moment", ["ranges", "aborting", "contending", "latency", "small", "stream"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_nothing_stays_after_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str, error: type[BaseException]
) -> None:
    class Interrupted(LocalStore):
        @contextmanager
        def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
            with super().write(key, size_bytes=size_bytes) as writer:
                yield writer
                if key.startswith(moment):
                    raise error

        def create(self, key: str, data: bytes) -> None:
            super().create(key, data)
            if key.startswith(moment):
                raise error

    monkeypatch.setattr(module, "open_store", lambda url, storage_options: Interrupted(Path(url)))

    with pytest.raises(error):
        doctor(str(tmp_path), extent=LITTLE)

    assert [*tmp_path.iterdir()] == []


def test_a_place_that_gives_way_under_load_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Weak(LocalStore):
        def read_all(self, key: str, *, limit_bytes: int) -> bytes:
            if key.startswith("small"):
                raise UnavailableError("Slow down.")
            return super().read_all(key, limit_bytes=limit_bytes)

    monkeypatch.setattr(module, "open_store", lambda url, storage_options: Weak(Path(url)))

    report = doctor(str(tmp_path), extent=LITTLE)

    assert (report.checks[-1].name, report.checks[-1].status) == ("measuring", "failed")
    assert (report.figures, report.exit_code) == (None, ExitCode.FAILED)
    assert [*tmp_path.iterdir()] == []


def test_slow_small_objects_are_to_be_packed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import time

    class Far(LocalStore):
        @contextmanager
        def write(self, key: str, *, size_bytes: int | None = None, exclusive: bool = False) -> Iterator[ByteWriter]:
            if key.startswith(("small", "latency")):
                time.sleep(0.06)
            with super().write(key, size_bytes=size_bytes) as writer:
                yield writer

    monkeypatch.setattr(module, "open_store", lambda url, storage_options: Far(Path(url)))

    report = doctor(str(tmp_path), extent=LITTLE, parallelism=2)

    assert "--container volumes" in report.advice[0]
    assert "--parallel" in report.advice[1]


def test_the_name_of_a_tarball_is_no_place() -> None:
    with pytest.raises(UsageError, match="folder"):
        ma.doctor("s3://bucket/backup.tar.zst")


def test_the_place_may_be_new(tmp_path: Path) -> None:
    place = tmp_path / "not" / "there"

    report = doctor(str(place), extent=LITTLE)

    assert report.ok
    assert isinstance(open_store(str(place)), Store)
    assert [*place.rglob("*")] == []
