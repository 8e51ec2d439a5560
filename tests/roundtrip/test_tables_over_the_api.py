"""An archive of tables alone, restored over the API like any other."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from mlflow_archive import api
from tests.tracking.database.exact.archives import archive_tables

#: Version -> counts of what is restored, and kind and path of what is lost of it.
_EXPECTED = {
    "2.9.2": ({"experiment": 12, "run": 21, "registered_model": 6}, set()),
    # Old traces have their spans in files; the webhooks' address is one that servers refuse.
    "3.5.1": (
        {"run": 21, "logged_model": 9, "trace": 13, "evaluation_dataset": 3},
        {("trace", "spans"), ("webhook", None)},
    ),
}


@pytest.mark.parametrize("version", sorted(_EXPECTED))
def test_tables_alone_are_restored_over_the_api(
    version: str, old_database: Callable[[str], Path], tmp_path: Path
) -> None:
    counts, lost = _EXPECTED[version]
    url = archive_tables(f"sqlite:///{old_database(version)}", tmp_path / "archive")
    target = f"sqlite:///{tmp_path / 'target.db'}"

    report = api.restore(url, target)

    assert {kind: report.counts[kind].stored for kind in counts} == counts
    assert {(loss.kind.value, loss.path) for loss in report.losses} == lost
    assert any("no files" in note for note in report.notes)

    again = api.restore(url, target)
    assert again.counts["run"].stored == 0
