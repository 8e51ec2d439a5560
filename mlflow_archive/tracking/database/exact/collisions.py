"""Names that are two in the archive and one in the database, whose collation knows no capitals or accents."""

from __future__ import annotations

import re
import unicodedata
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import sqlalchemy as sa

from mlflow_archive.errors import UnsupportedError
from mlflow_archive.tracking.database.exact.values import Row

#: Ids that are drawn by lot differ in more than capitals.
_ID = re.compile(r"(?:[a-z]{1,4}-)?[0-9a-f]{16,}")
#: Gives the rows of a table with these columns once more.
Again = Callable[[str, tuple[str, ...]], Iterable[Sequence[Row]]]


class Collisions:
    """Finds keys of tables that may be one in the database, and asks it whether they are."""

    def __init__(self, keys: Mapping[str, Sequence[tuple[str, ...]]], texts: Mapping[str, frozenset[str]]) -> None:
        """Take the unique keys of each table, and which of its columns are text."""
        self._keys = keys
        self._texts = texts
        self._words: dict[tuple[str, str], set[str]] = defaultdict(set)

    def take(self, table: str, names: Sequence[str], rows: Sequence[Row]) -> None:
        """Note the words in the keys of some rows."""
        wanted = {column for key in self._keys.get(table, ()) for column in key if column in self._texts[table]}
        for number, name in enumerate(names):
            if name in wanted:
                words = self._words[table, name]
                words.update(
                    row[number]
                    for row in rows
                    if row[number] is not None and row[number] not in words and not _ID.fullmatch(row[number])
                )

    def check(self, connection: sa.Connection, again: Again) -> None:
        """Ask the database of everything that may be one.

        Raises:
            UnsupportedError: Two keys of the archive are one in the database.
        """
        for table, keys in self._keys.items():
            doubtful = {name: _doubtful(self._words.get((table, name), ())) for name in self._texts.get(table, ())}
            for key in keys:
                if any(doubtful.get(name) for name in key):
                    self._check(connection, table, key, doubtful, again)

    def _check(
        self,
        connection: sa.Connection,
        table: str,
        key: tuple[str, ...],
        doubtful: Mapping[str, frozenset[str]],
        again: Again,
    ) -> None:
        met: dict[tuple[object, ...], list[Row]] = defaultdict(list)
        for row in _rows(again(table, key), key, doubtful):
            folded = tuple(_folded(value) if isinstance(value, str) else value for value in row)
            for other in met[folded]:
                if other != row and None not in row and _are_one(connection, row, other):
                    raise UnsupportedError(
                        f"In {table} the keys {_shown(row, other)} are two, and one in the target's collation "
                        f"{collation(connection)}: give a database that tells capitals and accents apart (MySQL and "
                        "MariaDB: CREATE DATABASE ... CHARACTER SET utf8mb4 COLLATE utf8mb4_bin).",
                        code="collation",
                    )
            if row not in met[folded]:
                met[folded].append(row)


def collation(connection: sa.Connection) -> str:
    """Return the collation that new tables get."""
    asked = {
        "mysql": "SELECT @@collation_database",
        "mssql": "SELECT CONVERT(VARCHAR(128), DATABASEPROPERTYEX(DB_NAME(), 'Collation'))",
    }[connection.dialect.name]
    return str(connection.exec_driver_sql(asked).scalar())


def unique_keys(tables: Mapping[str, sa.Table], inspector: sa.Inspector) -> dict[str, list[tuple[str, ...]]]:
    """Return the columns of every primary key, unique constraint and unique index."""
    result: dict[str, list[tuple[str, ...]]] = {}
    for name, table in tables.items():
        keys = {tuple(table.primary_key.columns.keys())}
        keys |= {tuple(found["column_names"]) for found in inspector.get_unique_constraints(name)}
        keys |= {
            tuple(column for column in found["column_names"] if column)
            for found in inspector.get_indexes(name)
            if found["unique"]
        }
        result[name] = sorted(key for key in keys if key)
    return result


def _doubtful(words: Iterable[str]) -> frozenset[str]:
    """Return the words of which another one differs only in what a collation may not see."""
    groups: dict[str, list[str]] = defaultdict(list)
    for word in words:
        groups[_folded(word)].append(word)
    return frozenset(word for group in groups.values() if len(group) > 1 for word in group)


def _rows(
    pieces: Iterable[Sequence[Row]], key: tuple[str, ...], doubtful: Mapping[str, frozenset[str]]
) -> Iterator[Row]:
    asked = [(number, doubtful[name]) for number, name in enumerate(key) if doubtful.get(name)]
    for piece in pieces:
        yield from (row for row in piece if any(row[number] in words for number, words in asked))


def _folded(word: str) -> str:
    """Return a word as the least attentive collation sees it."""
    plain = unicodedata.normalize("NFKD", word)
    return "".join(sign for sign in plain if not unicodedata.combining(sign)).casefold().rstrip()


def _are_one(connection: sa.Connection, row: Row, other: Row) -> bool:
    """Ask the database itself."""
    pairs = [(one, two) for one, two in zip(row, other, strict=True) if one != two]
    mysql = connection.dialect.name == "mysql"
    # The collation is the database's own word.
    seen = f"CONVERT(:word USING utf8mb4) COLLATE {collation(connection)}" if mysql else "CAST(:word AS NVARCHAR(4000))"
    asked = f"SELECT CASE WHEN {seen.replace(':word', ':one')} = {seen.replace(':word', ':two')} THEN 1 ELSE 0 END"
    return all(connection.execute(sa.text(asked), {"one": one, "two": two}).scalar() for one, two in pairs)


def _shown(row: Row, other: Row) -> str:
    pairs = [(one, two) for one, two in zip(row, other, strict=True) if one != two]
    return " and ".join(repr(word) for word in pairs[0])
