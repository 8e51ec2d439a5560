"""Will every value fit? Asked of all rows before the first of them is written."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence

import sqlalchemy as sa
from sqlalchemy.dialects import mssql, mysql

from mlflow_archive.errors import UnsupportedError
from mlflow_archive.tracking.database.exact.roots import Moves, addresses_in
from mlflow_archive.tracking.database.exact.values import Row

_SHOWN = 60
_NUL = re.compile("\x00")
#: Bytes that MySQL's types of text hold.
_TEXT_BYTES = {mysql.TINYTEXT: 255, mysql.TEXT: 65_535, mysql.MEDIUMTEXT: 16_777_215}


class Fitness:
    """Looks at rows, and raises at the first value that the database cannot hold."""

    def __init__(self, tables: Mapping[str, sa.Table], dialect: str, moves: Moves) -> None:
        """Hold values against these tables, as they will be in a database of the dialect."""
        self._tables = tables
        self._dialect = dialect
        self._moves = moves
        self._kept: dict[tuple[str, tuple[str, ...]], _Checks] = {}

    def asks(self, table: str) -> bool:
        """Tell whether the rows of a table have to be looked at."""
        return self._dialect != "sqlite" or (bool(self._moves) and bool(addresses_in(table, self._columns(table))[0]))

    def check(self, table: str, names: tuple[str, ...], rows: Sequence[Row]) -> None:
        """Look at some rows of a table.

        Raises:
            UnsupportedError: One has a value that does not fit; the sentence says which, and what to do.
        """
        checks = self._kept.get((table, names))
        if checks is None:
            checks = self._kept[table, names] = _Checks(self._tables[table], names, self._dialect, self._moves)
        if rows:
            checks.check(rows)

    def _columns(self, table: str) -> tuple[str, ...]:
        return tuple(self._tables[table].c.keys()) if table in self._tables else ()


class _Checks:
    """The checks of one table with these columns."""

    def __init__(self, table: sa.Table, names: tuple[str, ...], dialect: str, moves: Moves) -> None:
        self._table = table
        self._names = names
        self._moves = moves
        self._addresses, self._key = addresses_in(table.name, names) if moves else ((), None)
        known = [(i, table.c[name].type) for i, name in enumerate(names) if name in table.c]
        strict = dialect != "sqlite"
        self._lengths = {i: limit for i, kind in known if strict and (limit := _characters(kind))}
        self._bytes = {i: limit for i, kind in known if dialect == "mysql" and (limit := _TEXT_BYTES.get(type(kind)))}
        self._numbers = {i for i, kind in known if strict and _is_small(kind)}
        self._texts = {i for i, kind in known if dialect == "postgresql" and isinstance(kind, (sa.String, sa.JSON))}

    def check(self, rows: Sequence[Row]) -> None:
        columns: list[Sequence[object]] = list(zip(*rows, strict=True))
        for number in self._numbers:
            self._check_numbers(number, columns[number])
        for number in self._texts:
            if any(type(value) is str and _NUL.search(value) for value in columns[number]):
                raise UnsupportedError(
                    f"{self._place(number)} has text with the character U+0000 in it, which PostgreSQL cannot hold: "
                    "restore into SQLite, MySQL or MariaDB, or without --exact.",
                    code="nul_character",
                )
        for number, limit in self._lengths.items():
            self._check_length(number, columns[number], limit, "characters", len)
        for number, limit in self._bytes.items():
            self._check_length(number, columns[number], limit, "bytes", lambda text: len(text.encode()))
        for number in self._addresses:
            self._check_moved(number, columns)

    def _check_numbers(self, number: int, values: Sequence[object]) -> None:
        largest = max((value for value in values if type(value) is int), key=abs, default=0)
        if -(1 << 31) <= largest < 1 << 31:
            return
        where = self._place(number)
        what = f"the number {largest}, which is beyond the 32 bits of {where} in this database"
        if self._names[number] == "experiment_id":
            what = f"an experiment with the id {largest}, which is beyond the 32 bits that this database has for it"
        raise UnsupportedError(
            f"The archive has {what}: restore into SQLite, or without --exact, which gives new ids.",
            code="number_too_large",
        )

    def _check_length(
        self, number: int, values: Sequence[object], limit: int, unit: str, measure: Callable[[str], int]
    ) -> None:
        texts = [value for value in values if type(value) is str]
        if not texts or max(map(len, texts)) * (4 if unit == "bytes" else 1) <= limit:
            return
        longest = max(texts, key=measure)
        length = measure(longest)
        if length > limit:
            raise UnsupportedError(
                f"{self._place(number)} has a value of {length:,} {unit} ({longest[:_SHOWN]!r}...), and a column of "
                f"{limit:,} in this database: restore into SQLite, or without --exact.",
                code="value_too_long",
            )

    def _check_moved(self, number: int, columns: Sequence[Sequence[object]]) -> None:
        limit = _characters(self._table.c[self._names[number]].type)
        if limit is None:
            return
        for address in set(columns[number]):
            if isinstance(address, str) and (moved := self._moves.of(address)) != address and len(moved) > limit:
                raise UnsupportedError(
                    f"The moved address {moved!r} has {len(moved)} characters, and {self._place(number)} holds "
                    f"{limit}: give a shorter one.",
                    code="value_too_long",
                )

    def _place(self, number: int) -> str:
        return f"The column {self._table.name}.{self._names[number]}"


def _characters(kind: sa.types.TypeEngine[object]) -> int | None:
    """Return how many characters a column holds, None if it does not say."""
    return kind.length if isinstance(kind, sa.String) and not isinstance(kind, tuple(_TEXT_BYTES)) else None


def _is_small(kind: sa.types.TypeEngine[object]) -> bool:
    big = isinstance(kind, (sa.BigInteger, mysql.BIGINT, mssql.BIT))
    return isinstance(kind, sa.Integer) and not big
