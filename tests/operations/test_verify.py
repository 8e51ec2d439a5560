"""Verification of archives that the writer wrote: every kind of damage is named, nothing whole is blamed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from mlflow_archive.archive.sampling import Sampling
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import ExitCode, NotAnArchiveError, UnavailableError, UsageError
from mlflow_archive.events import BytesMoved, Event, TransferFinished, TransferStarted
from mlflow_archive.operations.verify import verify
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.records import record_type
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.stream import Account, Blob, Content, Item, ObjectKey, Part
from tests.spec.worlds import RUN, bare_run, experiment, registered_model, small

ROLE = "artifacts"


@contextmanager
def opened(data: bytes) -> Iterator[Iterator[bytes]]:
    yield iter([data])


def item(kind: Kind, id: str, record: JSONObject, *, files: dict[str, bytes] | None = None, points: int = 0) -> Item:
    blobs = tuple(
        Blob(ROLE, name, len(data), lambda data=data: opened(data))  # type: ignore[misc]
        for name, data in (files or {}).items()
    )
    rows: list[JSONObject] = [
        {"key": "loss", "timestamps": [*range(points)], "steps": [*range(points)], "values": [0.5] * points}
    ]
    parts = (Part("metrics", lambda: iter(rows)),) if points else ()
    content = Content(record_type(kind).from_json(record, id), parts=parts, blobs=lambda: iter(blobs))
    experiment_id = "1" if kind is Kind.RUN else None
    return Item(ObjectKey(kind, id, experiment_id=experiment_id), lambda: content)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """An archive with a file of every sort, as the writer leaves it."""
    folder = tmp_path / "archive"
    writer = ArchiveWriter.begin(open_store(str(folder)))
    writer.write(item(Kind.EXPERIMENT, "1", experiment().record))
    writer.write(item(Kind.RUN, RUN, bare_run().record, files={"a b.txt": b"hello", "d/c.bin": b"\0" * 3000}, points=3))
    writer.write(item(Kind.REGISTERED_MODEL, "model", registered_model().record))
    key = ObjectKey(Kind.RUN, "f" * 32, experiment_id="1")
    loss = key.lost("not_found", "It is gone.")
    source = SourceInfo(type="mlflow", uri="http://mlflow.example:5000")
    writer.finish(Account(source, Selection(), 1, (loss,), {}, {"run": 1}, ()))
    writer.close()
    return folder


FILES = {
    "marker": "mlflow-archive.json",
    "readme": "README.txt",
    "manifest": "manifest.json",
    "losses": "losses.jsonl",
    "index": "experiments/index.jsonl",
    "nested index": "experiments/1/runs/index.jsonl",
    "document": f"experiments/1/runs/{RUN}/run.json",
    "part": f"experiments/1/runs/{RUN}/metrics.jsonl",
    "blob": f"experiments/1/runs/{RUN}/artifacts/a b.txt",
}
NEVER_MISSING = {"manifest": "E005", "marker": "E001"}


def test_what_the_writer_wrote_breaks_no_rule(root: Path) -> None:
    report = verify(open_store(str(root)), "restorable")
    assert (report.problems, report.warnings, report.error()) == ((), (), None)
    assert (report.objects, report.blobs, report.losses) == (3, 2, 1)
    assert report.size_bytes == sum(path.stat().st_size for path in root.rglob("*") if path.is_file())


def test_the_files_of_the_archive_are_of_every_sort(root: Path) -> None:
    assert {path for path in FILES.values() if not (root / path).is_file()} == set()


@pytest.mark.parametrize("sort", FILES)
def test_one_flipped_bit_anywhere_is_named(root: Path, sort: str) -> None:
    store = open_store(str(root))
    digest = verify(store, "complete").root_digest
    path = root / FILES[sort]
    whole = path.read_bytes()
    for position in range(0, len(whole), max(1, len(whole) // 15)):
        damaged = bytearray(whole)
        damaged[position] ^= 1
        path.write_bytes(damaged)
        report = verify(store, "valid", digest=digest)
        named = {problem.path for problem in report.problems}
        assert FILES[sort] in named, (position, report.problems)
        assert report.error() is not None
    path.write_bytes(whole)
    assert verify(store, "valid", digest=digest).ok


@pytest.mark.parametrize("sort", FILES)
def test_a_missing_file_is_named(root: Path, sort: str) -> None:
    (root / FILES[sort]).unlink()
    report = verify(open_store(str(root)), "complete")
    assert [(p.rule, p.path) for p in report.problems] == [(NEVER_MISSING.get(sort, "E040"), FILES[sort])]
    assert report.warnings == ()


@pytest.mark.parametrize("sort", sorted(set(FILES) - {"manifest", "marker"}))
def test_a_cut_file_is_named_without_being_read(root: Path, sort: str) -> None:
    path = root / FILES[sort]
    path.write_bytes(path.read_bytes()[:-1])
    report = verify(open_store(str(root)), "complete")
    assert [(p.rule, p.path) for p in report.problems] == [("E041", FILES[sort])]


def test_an_extra_file_is_a_warning(root: Path) -> None:
    (root / "experiments" / "1" / "notes.txt").write_text("mine")
    report = verify(open_store(str(root)))
    assert report.ok
    assert [(w.rule, w.path) for w in report.warnings] == [("W001", "experiments/1/notes.txt")]


def test_every_damage_is_found_at_once(root: Path) -> None:
    (root / FILES["blob"]).write_bytes(b"HELLO")
    (root / FILES["part"]).unlink()
    (root / "extra").touch()
    report = verify(open_store(str(root)))
    assert [(p.rule, p.path) for p in report.problems] == [("E042", FILES["blob"]), ("E040", FILES["part"])]
    assert [w.rule for w in report.warnings] == ["W001"]
    error = report.error()
    assert error is not None
    assert error.exit_code is ExitCode.INTEGRITY
    assert "2 problems" in str(error)


def test_the_root_digest_tells_another_archive(root: Path) -> None:
    store = open_store(str(root))
    digest = verify(store, "complete").root_digest
    assert verify(store, digest=f"sha256:{digest.upper()}").ok
    other = verify(store, digest="0" * 64)
    assert [p.rule for p in other.problems] == ["E044"]
    assert digest in other.problems[0].message


def test_nothing_there_is_no_archive(tmp_path: Path) -> None:
    report = verify(open_store(str(tmp_path)))
    assert [p.rule for p in report.problems] == ["E005"]
    assert isinstance(report.error(), NotAnArchiveError)


def test_a_size_that_lies_costs_no_memory(tmp_path: Path) -> None:
    """Descriptors that promise exabytes are findings, not allocations."""
    builder = small().on(f"blob {RUN}", lambda blob: blob["descriptor"].update(size_bytes=1 << 60))
    builder.on(f"section {FILES['nested index']}", lambda section: section["index"].update(size_bytes=1 << 60))
    for path, data in builder.build().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    report = verify(open_store(str(tmp_path)))
    assert [(p.rule, p.path) for p in report.problems] == [("E041", FILES["nested index"])]


def test_findings_are_bounded(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlflow_archive.archive.checking.MAX_FINDINGS", 3)
    for sort in ("readme", "losses", "document", "part"):
        (root / FILES[sort]).write_bytes(b"")
    for number in range(5):
        (root / f"extra-{number}").touch()
    report = verify(open_store(str(root)))
    assert len(report.problems) == 3
    assert report.truncated
    assert "3+ problems" in str(report.error())


@dataclass
class Listener:
    events: list[Event] = field(default_factory=list)

    def notify(self, event: Event) -> None:
        self.events.append(event)


def test_an_observer_hears_of_it(root: Path) -> None:
    listener = Listener()
    report = verify(open_store(str(root)), "valid", observer=listener)
    assert isinstance(listener.events[0], TransferStarted)
    assert isinstance(listener.events[-1], TransferFinished)
    assert sum(e.size_bytes for e in listener.events if isinstance(e, BytesMoved)) == report.size_bytes


def test_a_store_that_does_not_answer_is_no_finding(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(root))
    read = store.read

    def broken(key: str, **options: int) -> Iterator[bytes]:
        if key.endswith(".bin"):
            raise UnavailableError("The store does not answer.")
        return read(key, **options)

    monkeypatch.setattr(store, "read", broken)
    with pytest.raises(UnavailableError):
        verify(store, "valid")


def test_a_sample_reads_a_share_of_the_files_and_all_documents(root: Path) -> None:
    store = open_store(str(root))
    everything = verify(store, "valid")
    seen = set()
    for seed in range(12):
        report = verify(store, "valid", sampling=Sampling(0.5, str(seed)))
        again = verify(store, "valid", sampling=Sampling(0.5, str(seed)))
        assert report.sample is not None
        assert report.sample == again.sample
        assert (report.objects, report.problems, report.warnings) == (everything.objects, (), ())
        assert report.sample.files_total == 3
        assert report.size_bytes == everything.size_bytes - (report.sample.size_bytes_total - report.sample.size_bytes)
        seen.add(report.sample.files)
    assert len(seen) > 1


def test_a_sample_misses_damage_elsewhere_and_finds_it_in_what_it_reads(root: Path) -> None:
    (root / FILES["blob"]).write_bytes(b"HELLO")
    store = open_store(str(root))
    for seed in map(str, range(12)):
        sampling = Sampling(0.5, seed)
        report = verify(store, "valid", sampling=sampling)
        assert [problem.rule for problem in report.problems] == (["E042"] if sampling.takes(FILES["blob"]) else [])


@pytest.mark.parametrize("share", [0, -0.1, 1.01, float("nan")])
def test_a_sample_of_no_share_is_refused(share: float) -> None:
    with pytest.raises(UsageError):
        Sampling(share)
