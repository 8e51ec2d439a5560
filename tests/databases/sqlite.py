"""SQLite files, given out as a database server gives out databases."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path


class SqliteFiles:
    """New files below a folder."""

    dialect = "sqlite"

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._number = 0

    def new_database(self) -> str:
        """Name a file that is not there yet; return its URI for SQLAlchemy."""
        self._number += 1
        return f"sqlite:///{self._folder / f'db{self._number}.db'}"

    def copy(self, uri: str) -> str:
        """Copy a database, with what its log of changes holds, and return the copy's URI."""
        made = self.new_database()
        with closing(sqlite3.connect(path_of(uri))) as origin, closing(sqlite3.connect(path_of(made))) as target:
            origin.backup(target)
        return made

    def drop_database(self, uri: str) -> None:
        """Delete a file, if it was made."""
        for end in ("", "-wal", "-shm", "-journal"):
            path = path_of(uri)
            path.with_name(path.name + end).unlink(missing_ok=True)


def path_of(uri: str) -> Path:
    """Return the file that a SQLite URI names."""
    return Path(uri.removeprefix("sqlite:///"))
