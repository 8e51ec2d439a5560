"""Verification of the tables of a database: what the vectors of the specification do not show."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_archive.operations.verified import VerifyReport
from mlflow_archive.operations.verify import verify
from mlflow_archive.spec.rules import Level
from mlflow_archive.storage.opening import open_store
from mlflow_archive.tracking.database.leaving_out import reason_to_leave_out
from tests.spec.building import Builder, Json
from tests.spec.worlds import database

FILE = "database/tracking/tables/webhooks.parquet"


def verified(root: Path, builder: Builder, level: Level = "restorable") -> VerifyReport:
    for path, data in builder.build().items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    return verify(open_store(str(root)), level)


def rules(report: VerifyReport) -> list[tuple[str, str]]:
    return [(problem.rule, problem.path) for problem in report.problems]


def test_a_file_that_is_not_what_was_written_is_not_called_anything_else(tmp_path: Path) -> None:
    def flipped(files: dict[str, bytes]) -> None:
        data = bytearray(files[FILE])
        data[-20] ^= 1
        files[FILE] = bytes(data)

    assert rules(verified(tmp_path, Builder([database()]).on("files", flipped))) == [("E042", FILE)]


def test_every_place_in_a_file_that_is_damaged_and_digested_so_is_survived(tmp_path: Path) -> None:
    size = len(next(iter(database().blobs.values())))
    seen = set()
    for position in range(0, size, 3):
        thing = database()
        [(name, data)] = thing.blobs.items()
        thing.blobs[name] = data[:position] + bytes([data[position] ^ 0x41]) + data[position + 1 :]
        report = verified(tmp_path, Builder([thing]))
        assert report.warnings == ()
        seen |= {rule for rule, _ in rules(report)}
    assert seen <= {"E057", "E058", "E059"}
    assert "E057" in seen


def test_a_table_that_was_lost_needs_no_file(tmp_path: Path) -> None:
    thing = database()
    thing.blobs.clear()
    loss: Json = {
        "kind": "database",
        "id": "tracking",
        "path": "webhooks.parquet",
        "code": "unavailable",
        "reason": "The connection broke.",
    }
    thing.losses = [loss]
    report = verified(tmp_path, Builder([thing], [loss]))
    assert (rules(report), report.losses) == ([], 1)


def test_without_pyarrow_bytes_are_checked_and_a_note_says_what_is_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    cut = database()
    [(name, data)] = cut.blobs.items()
    cut.blobs[name] = data[:-40]
    report = verified(tmp_path, Builder([cut]))
    assert report.ok
    [note] = report.notes
    assert "pip install 'mlflow-archive[sql]'" in note
    assert report.to_json()["notes"] == [note]
    assert verify(open_store(str(tmp_path)), "valid").notes == ()
    (tmp_path / FILE).write_bytes(data[:-41] + b"!")
    assert rules(verify(open_store(str(tmp_path)), "restorable")) == [("E042", FILE)]


@pytest.mark.parametrize("level", ["complete", "restorable"])
def test_an_archive_without_tables_has_no_note_of_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, level: Level
) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert verified(tmp_path, Builder([]), level).notes == ()


@pytest.mark.parametrize("name", ["", "1st", "a b", "a/b", "../a", "a'b", "a.b", "ä", "a" * 129, "a\n"])
def test_tables_whose_names_no_reader_should_meet_are_left_out_of_backups(name: str, tmp_path: Path) -> None:
    assert "name" in (reason_to_leave_out(name) or "")
    thing = database()
    thing.record["tables"][0]["name"] = name
    thing.blobs = {("tables", f"{name}.parquet"): data for data in thing.blobs.values()}
    assert {rule for rule, _ in rules(verified(tmp_path, Builder([thing])))} == {"E056"}


def test_the_bytes_read_are_counted_once(tmp_path: Path) -> None:
    builder = Builder([database()])
    report = verified(tmp_path, builder)
    assert report.ok
    assert report.size_bytes == sum(len(data) for data in builder.files.values())
    assert report.root_digest == hashlib.sha256(builder.files["manifest.json"]).hexdigest()


def _spoilt(change: Callable[[Json], object]) -> Builder:
    thing = database()
    change(thing.record["tables"][0])
    return Builder([thing])


@pytest.mark.parametrize(
    "change",
    [
        lambda table: table["columns"].clear(),
        lambda table: table["columns"][0].update(name=""),
        lambda table: table["columns"][1].update(name="webhook_id"),
    ],
    ids=["none", "empty", "twice"],
)
def test_columns_have_names_of_their_own(tmp_path: Path, change: Callable[[Json], object]) -> None:
    assert {rule for rule, _ in rules(verified(tmp_path, _spoilt(change), "complete"))} == {"E056"}
