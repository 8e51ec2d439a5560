"""What exact restores into database servers refuse: see `test_matrix` for what they bring."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import UnsupportedError
from tests.tracking.database.exact.archives import archive_tables
from tests.tracking.database.exact.test_exact_sqlite import restore


def test_names_that_a_collation_takes_for_one_are_told_before_anything_is_written(old_database, mariadb, tmp_path):
    archive = archive_tables(f"sqlite:///{old_database('2.9.2')}", tmp_path / "a")
    target = mariadb.new_database()
    for _ in range(2):
        with pytest.raises(UnsupportedError, match="'customer CHURN' and 'Customer churn' are two"):
            restore(archive, target)
    mariadb.drop_database(target)
