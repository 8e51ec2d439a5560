"""The tables of a database, for programs that look into an archive."""

from __future__ import annotations

from pathlib import Path

import pytest

import mlflow_archive
from mlflow_archive.errors import NotFoundError
from tests.spec.make_vectors import VECTORS

ARCHIVE = str(VECTORS / "valid" / "every-kind" / "archive")


def test_rows_are_given_by_the_names_of_columns() -> None:
    with mlflow_archive.open(ARCHIVE) as archive:
        [database] = archive.databases()
        assert (database.dialect, [table.name for table in database.tables]) == ("postgresql", ["webhooks"])
        assert list(archive.rows(database, "webhooks")) == [{"webhook_id": "w-1", "secret": None}]


def test_what_is_not_there_is_said_so() -> None:
    with mlflow_archive.open(ARCHIVE) as archive:
        [database] = archive.databases()
        with pytest.raises(NotFoundError, match="no table 'runs'"):
            list(archive.rows(database, "runs"))
        with pytest.raises(NotFoundError, match="no table 'webhooks'"):
            list(archive.rows(database.model_copy(), "webhooks"))


def test_an_archive_without_a_database_has_none(tmp_path: Path) -> None:
    with mlflow_archive.open(str(VECTORS / "valid" / "small" / "archive")) as archive:
        assert list(archive.databases()) == []
