"""Exact restores of old revisions into PostgreSQL and MariaDB, and new objects beside the old ones afterwards."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mlflow_archive.errors import UnsupportedError
from tests.databases.filled import OLD_VERSIONS, unpack
from tests.databases.mariadb import EXACT
from tests.tracking.database.exact.archives import archive_tables
from tests.tracking.database.exact.test_exact_sqlite import NEW_OBJECTS, restore


@pytest.fixture(scope="module")
def archive_of(tmp_path_factory):
    made = {}

    def of(version):
        if version not in made:
            folder = tmp_path_factory.mktemp(f"exact-{version}")
            made[version] = archive_tables(f"sqlite:///{unpack(version, folder / 'old')}", folder / "a")
        return made[version]

    return of


@pytest.mark.parametrize("version", OLD_VERSIONS)
@pytest.mark.parametrize("kind", ["postgresql", "mariadb"])
def test_old_revisions_are_checked_row_by_row_and_written_to(kind, version, archive_of, databases, tmp_path):
    place = databases(kind)
    target = place.new_database(EXACT) if kind == "mariadb" else place.new_database()
    assert restore(archive_of(version), target, activate=True).status == "complete"
    uri = target.replace("postgresql://", "postgresql+psycopg://")
    made = subprocess.run(
        [sys.executable, "-c", NEW_OBJECTS, uri], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    assert made.returncode == 0, made.stderr[-2000:]
    place.drop_database(target)


def test_names_that_a_collation_takes_for_one_are_told_before_anything_is_written(archive_of, mariadb):
    target = mariadb.new_database()
    for _ in range(2):
        with pytest.raises(UnsupportedError, match="'customer CHURN' and 'Customer churn' are two"):
            restore(archive_of("2.9.2"), target)
    mariadb.drop_database(target)
