"""What is in the database before an exact restore, and making room in it."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from enum import Enum

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from mlflow_archive.errors import ConflictError
from mlflow_archive.tracking.database.addresses import DatabaseAddress
from mlflow_archive.tracking.database.exact import state
from mlflow_archive.tracking.database.exact.families import FAMILIES, OF_TRACKING_SERVER, RUNTIME_TABLES, Family
from mlflow_archive.tracking.database.exact.state import Identity, State

_NAMED = 5
#: The names of tables that migrations use while they rebuild one of SQLite's.
_REBUILT = "_alembic_tmp_"
#: What PostgreSQL calls that.
_NEEDED_BY_OTHERS = "2BP01"


class Holding(Enum):
    """What a database holds."""

    NOTHING = "nothing"
    """It is empty, or has only what a fresh MLflow server makes."""
    UNFINISHED = "unfinished"
    """A restore of this archive, to be gone on with."""
    FINISHED = "finished"
    """A restore of this archive that came to its end but for the removal of its state."""


@dataclass(frozen=True, slots=True)
class Found:
    """What is there, and what a restore of the archive left."""

    holding: Holding
    state: State | None = None
    anew: bool = False
    """A restore of this archive was interrupted where nothing of it can be gone on with."""


def examine(
    connection: sa.Connection,
    address: DatabaseAddress,
    archive: Identity,
    *,
    start_over: bool,
    family: Family = OF_TRACKING_SERVER,
) -> Found:
    """Tell what the database holds; nothing is changed.

    Args:
        connection: The database.
        address: Where it is, for the sentences.
        archive: What is to be restored.
        start_over: Take what an interrupted exact restore left, of whichever archive, for nothing.
        family: Of which tables; others of MLflow's may be there.

    Raises:
        ConflictError: It holds something else.
    """
    left = state.read(connection, family.names)
    marked = state.marked(connection, family.names)
    ours = left is not None and (marked or left.phase == state.DONE)
    if left is None or not ours:
        if marked and not _stranger(connection):
            # The mark was all that was made.
            return Found(Holding.NOTHING)
        _require_room(connection, address, family)
        return Found(Holding.NOTHING)
    if marked and start_over:
        return Found(Holding.NOTHING)
    same = (left.identity.archive_id, left.identity.root_digest) == (archive.archive_id, archive.root_digest)
    if left.phase == state.DONE and not marked:
        if not same:
            _require_room(connection, address, family)
        return Found(Holding.FINISHED, left)
    if not same:
        raise ConflictError(
            f"{address.shown} holds an interrupted exact restore of another archive ({left.identity.archive_id}): "
            "complete it by its own command, or add --start-over to clear it first.",
            code="other_restore",
        )
    lasting = left.phase == state.ROWS and not left.identity.made and left.identity == archive
    return Found(Holding.UNFINISHED, left) if lasting else Found(Holding.NOTHING, anew=archive.made)


def clear(connection: sa.Connection, family: Family = OF_TRACKING_SERVER, but: Collection[str] = frozenset()) -> None:
    """Drop MLflow's tables and those of our state; tables of others stay, and those that are named.

    Must follow `examine`, which has seen that nothing of value is in them.

    Raises:
        ConflictError: Views or keys of others are made upon them (PostgreSQL).
    """
    dialect = connection.dialect.name
    tables = sa.inspect(connection).get_table_names()
    ours = (family.known_among(tables) | family.names.all) - frozenset(but)
    there = [name for name in tables if name in ours or name.startswith(_REBUILT)]
    quoted = connection.dialect.identifier_preparer.quote
    if dialect == "mssql":
        for table in there:
            for key in sa.inspect(connection).get_foreign_keys(table):
                connection.exec_driver_sql(f"ALTER TABLE {quoted(table)} DROP CONSTRAINT {quoted(str(key['name']))}")
    if dialect == "postgresql":
        _drop_together(connection, [quoted(name) for name in there])
        return
    # The state goes last: until then a clearing that is interrupted can be seen for what it is.
    names = family.names
    for name in sorted(there, key=lambda name: (name == names.version_table, name == names.table)):
        connection.exec_driver_sql(f"DROP TABLE {quoted(name)}")


def _drop_together(connection: sa.Connection, tables: Sequence[str]) -> None:
    """Drop tables that refer to each other; what others have made upon them keeps all of them."""
    if not tables:
        return
    try:
        connection.exec_driver_sql(f"DROP TABLE {', '.join(tables)}")
    except DBAPIError as error:
        if getattr(error.orig, "sqlstate", "") != _NEEDED_BY_OTHERS:
            raise
        said = " ".join(str(error.orig).partition("DETAIL:")[2].partition("HINT:")[0].split())
        raise ConflictError(
            f"Others have made something upon MLflow's tables, which would go with them ({said}): drop it first, or "
            "give a database of its own.",
            code="not_empty",
        ) from error


def _require_room(connection: sa.Connection, address: DatabaseAddress, family: Family) -> None:
    strangers = _stranger(connection)
    if strangers:
        more = f" and {len(strangers) - _NAMED} more" if len(strangers) > _NAMED else ""
        raise ConflictError(
            f"{address.shown} has tables that are not MLflow's ({', '.join(strangers[:_NAMED])}{more}): give a "
            "database of its own.",
            code="not_empty",
        )
    filled = _filled(connection, family)
    if filled:
        more = ", ..." if len(filled) > _NAMED else ""
        raise ConflictError(
            f"{address.shown} is not empty (it has rows in {', '.join(filled[:_NAMED])}{more}): an exact restore needs "
            "an empty database, or one that only a fresh MLflow server has opened; a restore without --exact brings "
            "the objects to what is there.",
            code="not_empty",
        )


def _stranger(connection: sa.Connection) -> list[str]:
    tables = sa.inspect(connection).get_table_names()
    known = frozenset[str]().union(*(family.known_among(tables) | family.names.all for family in FAMILIES))
    return sorted(name for name in tables if name not in known and not name.startswith(_REBUILT))


def _filled(connection: sa.Connection, family: Family) -> list[str]:
    """Return the tables that have more in them than a fresh server makes."""
    there = sorted(family.known_among(sa.inspect(connection).get_table_names()) - RUNTIME_TABLES)
    return [name for name in there if _has_rows(connection, name, family.fresh(name))]


def _has_rows(connection: sa.Connection, name: str, but: sa.ColumnElement[bool] | None) -> bool:
    more = sa.select(sa.literal(1)).select_from(sa.table(name)).limit(1)
    if but is not None:
        more = more.where(sa.not_(but))
    return connection.execute(more).first() is not None
