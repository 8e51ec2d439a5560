"""Empty, migrated SQLite databases, made once per MLflow and then copied: creating a schema takes 10 to 20 s."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

CREATE = """
import sys
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
SqlAlchemyStore("sqlite:///" + sys.argv[1], "mlflow-artifacts:/")
"""


class EmptyDatabases:
    """Gives out copies of one empty database per Python executable (that is, per installed MLflow)."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._templates: dict[str, Path] = {}

    def copy_to(self, target: Path, python: str, artifact_root: str) -> None:
        """Put an empty database at ``target`` whose default experiment keeps artifacts below ``artifact_root``."""
        shutil.copyfile(self._template(python), target)
        with closing(sqlite3.connect(target)) as connection, connection:
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0",
                (artifact_root.rstrip("/") + "/0",),
            )

    def _template(self, python: str) -> Path:
        if python not in self._templates:
            path = self._directory / f"empty-{len(self._templates)}.db"
            made = subprocess.run([python, "-c", CREATE, str(path)], capture_output=True, text=True, check=False)
            if made.returncode != 0:
                raise RuntimeError(f"{python} could not create an empty MLflow database:\n{made.stderr[-3000:]}")
            self._templates[python] = path
        return self._templates[python]
