"""Empty, migrated databases, made once per MLflow and then copied: creating a schema takes 10 to 20 s."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path
from typing import Protocol

CREATE = """
import sys
from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore
SqlAlchemyStore(sys.argv[1], "mlflow-artifacts:/")
"""


class Place(Protocol):
    """What gives out databases: a database server of `tests.databases`, or its SQLite files."""

    def new_database(self) -> str: ...

    def copy(self, uri: str) -> str: ...


class EmptyDatabases:
    """Gives out copies of one empty database per Python executable (that is, per installed MLflow) and place."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._templates: dict[str, Path] = {}
        self._others: dict[tuple[int, str], str] = {}

    def copy_to(self, target: Path, python: str, artifact_root: str) -> None:
        """Put an empty database at ``target`` whose default experiment keeps artifacts below ``artifact_root``."""
        shutil.copyfile(self._template(python), target)
        with closing(sqlite3.connect(target)) as connection, connection:
            connection.execute(
                "UPDATE experiments SET artifact_location = ? WHERE experiment_id = 0",
                (artifact_root.rstrip("/") + "/0",),
            )

    def new_in(self, place: Place, python: str, artifact_root: str = "mlflow-artifacts:/") -> str:
        """Make an empty database in ``place``, as `copy_to` does, and return its URI."""
        from sqlalchemy import create_engine, text

        key = (id(place), python)
        if key not in self._others:
            template = place.new_database()
            _migrate(python, template)
            self._others[key] = template
        uri = place.copy(self._others[key])
        engine = create_engine(with_driver(uri))
        with engine.begin() as connection:
            location = text("UPDATE experiments SET artifact_location = :root WHERE experiment_id = 0")
            connection.execute(location, {"root": artifact_root.rstrip("/") + "/0"})
        engine.dispose()
        return uri

    def _template(self, python: str) -> Path:
        if python not in self._templates:
            path = self._directory / f"empty-{len(self._templates)}.db"
            _migrate(python, f"sqlite:///{path}")
            self._templates[python] = path
        return self._templates[python]


def with_driver(uri: str) -> str:
    """Name psycopg where a URI of PostgreSQL names no driver: each SQLAlchemy has a default of its own."""
    return uri.replace("postgresql://", "postgresql+psycopg://", 1) if uri.startswith("postgresql://") else uri


def _migrate(python: str, uri: str) -> None:
    command = [python, "-c", CREATE, with_driver(uri)]
    made = subprocess.run(command, capture_output=True, text=True, check=False)
    if made.returncode != 0:
        raise RuntimeError(f"{python} could not create an empty MLflow database:\n{made.stderr[-3000:]}")
