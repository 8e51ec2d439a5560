"""What a restore from a damaged archive ends with; an archive that only says what its backup lost is sound."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mlflow_archive.errors import ExitCode, IntegrityError
from mlflow_archive.operations.backup import archive as back_up
from mlflow_archive.operations.ends import archive_source
from mlflow_archive.operations.report import Report
from mlflow_archive.operations.transfer import transfer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.stream import Outcome, Status
from tests.archive.fakes import FakeSource, sample_source
from tests.operations.ends import MemorySink


@pytest.fixture
def place(tmp_path) -> Path:
    return tmp_path / "archive"


def stored(source: FakeSource, place: Path) -> Report:
    with closing(open_store(str(place))) as store:
        return back_up(source, store, Selection())


def reading_sink() -> MemorySink:
    """Return a sink that takes every byte, and turns files that cannot be read into losses, as that of a server."""

    def act(item):
        content, losses = item.load(), []
        for part in content.parts:
            list(part.open())
        for blob in content.blobs():
            try:
                with blob.open() as chunks:
                    list(chunks)
            except IntegrityError as error:
                losses.append(item.key.lost(error.code, str(error), path=blob.name))
        return Outcome(item.key, Status.STORED, losses=tuple(losses))

    return MemorySink(act)


def moved(place: Path, verb: str) -> Report:
    with archive_source(str(place), storage_options=None) as source:
        return transfer(source, reading_sink(), Selection(), verb=verb)


@pytest.mark.parametrize("name", ["run.json", "weights.bin", "metrics.jsonl", "runs/index.jsonl"])
def test_a_restore_from_a_damaged_archive_brings_the_rest_and_says_so(place, name):
    stored(sample_source(), place)
    damaged = next(place.rglob(name))
    data = bytearray(damaged.read_bytes())
    data[len(data) // 2] ^= 1
    damaged.write_bytes(data)

    report = moved(place, "restore")
    assert {loss.code for loss in report.losses} == {"integrity"}
    assert report.stored_count >= 10
    assert (report.damaged, report.exit_code) == (True, ExitCode.INTEGRITY)
    assert report.to_json()["damaged"] is True


def test_what_the_backup_lost_is_no_damage(place):
    source = sample_source()
    run = next(one for one in source.objects if one.key.kind is Kind.RUN)
    run.losses = (run.key.lost("integrity", "The server's answer has 'x' where a number belongs.", path="metrics"),)
    assert len(stored(source, place).losses) == 1

    report = moved(place, "restore")
    assert [loss.code for loss in report.losses] == ["integrity"]
    assert (report.damaged, report.exit_code) == (False, ExitCode.LOSSES)


@pytest.mark.parametrize("verb", ["backup", "copy"])
def test_a_server_that_answers_wrongly_is_no_damaged_archive(verb):
    source = sample_source()
    run = next(one for one in source.objects if one.key.kind is Kind.RUN)
    source.broken[(run.key.id, "")] = IntegrityError("The server's answer has 'x' where a number belongs.")
    report = transfer(source, reading_sink(), Selection(), verb=verb)
    assert (report.damaged, report.exit_code) == (False, ExitCode.LOSSES)


def test_a_target_that_answers_wrongly_is_no_damaged_archive(place):
    stored(sample_source(), place)

    def act(item):
        raise IntegrityError("The server's answer has 'x' where a number belongs.")

    with archive_source(str(place), storage_options=None) as source:
        report = transfer(source, MemorySink(act), Selection(), verb="restore")
    assert report.losses
    assert (report.damaged, report.exit_code) == (False, ExitCode.LOSSES)
