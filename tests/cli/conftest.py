"""A small archive on disk, made by the real writer from a source in memory."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from mlflow_archive.operations.backup import archive
from mlflow_archive.operations.report import Report
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from tests.archive.fakes import sample_source


def write_archive(place: Path | str, selection: Selection | None = None, **sizes: int) -> Report:
    with closing(open_store(str(place))) as store:
        return archive(sample_source(**sizes), store, selection or Selection(), parallelism=2)


@pytest.fixture
def small_archive(tmp_path: Path) -> Path:
    place = tmp_path / "small"
    write_archive(place)
    return place
