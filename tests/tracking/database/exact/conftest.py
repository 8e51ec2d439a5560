"""Which tests need an MLflow that knows every revision there is: an older one refuses what is newer than itself."""

from __future__ import annotations

from mlflow.version import VERSION

from tests.databases.filled import NEWEST


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:2])


collect_ignore = [] if _numbers(VERSION) >= _numbers(NEWEST) else ["test_matrix.py", "test_matrix_newest.py"]
