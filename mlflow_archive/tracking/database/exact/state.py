"""How far an exact restore has come, kept in the database itself.

The table `TABLE` names the archive and what of it is done. All the while ``alembic_version`` holds `MARKER`, a revision
that no MLflow knows, so that none starts on a half-filled database, and none migrates it. MLflow's migrations keep
their own revision in `REVISION_TABLE` meanwhile. The end writes the true revision and removes both tables.

The tables of users and permissions have a state of their own (`OF_USERS`), as they may be in the same database.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects import mysql

from mlflow_archive.errors import ConflictError
from mlflow_archive.tracking.database.revisions import RESTORE_UNDERWAY

TABLE = "mlflow_archive_restore"
REVISION_TABLE = "mlflow_archive_revision"
VERSION_TABLE = "alembic_version"
#: At most 32 characters, as the column has.
MARKER = RESTORE_UNDERWAY

#: The schema is being made; only where that is no transaction.
SCHEMA = "schema"
#: The schema is there, and tables are filled one after the other.
ROWS = "rows"
#: The rows are checked, and the schema is being upgraded; only where that is no transaction.
UPGRADE = "upgrade"
#: All is done but the removal of the state.
DONE = "done"

_OF_TABLE = "table:"


class Names:
    """Where the state of a restore is in a database.

    Attributes:
        table: The state's own table.
        revision_table: Where migrations keep their revision meanwhile.
        version_table: Where MLflow looks for the revision.
    """

    def __init__(self, version_table: str = VERSION_TABLE, ending: str = "") -> None:
        """Take the table that MLflow looks at, and what tells our names from those of other states."""
        self.table, self.revision_table, self.version_table = TABLE + ending, REVISION_TABLE + ending, version_table
        self.state = sa.Table(
            self.table,
            sa.MetaData(),
            sa.Column("item", sa.String(250), primary_key=True),
            sa.Column("value", sa.Text().with_variant(mysql.LONGTEXT(), "mysql"), nullable=False),
        )
        # As alembic makes it.
        self.version = sa.Table(
            version_table,
            sa.MetaData(),
            sa.Column("version_num", sa.String(32), nullable=False),
            sa.PrimaryKeyConstraint("version_num", name=f"{version_table}_pkc"),
        )

    @property
    def all(self) -> frozenset[str]:
        """The names of all three tables."""
        return frozenset({self.table, self.revision_table, self.version_table})

    @property
    def begun(self) -> frozenset[str]:
        """The names of the tables that `begin` makes."""
        return frozenset({self.table, self.version_table})


OF_TRACKING = Names()
OF_USERS = Names("alembic_version_auth", "_auth")


@dataclass(frozen=True, slots=True)
class Identity:
    """Which archive is restored.

    Attributes:
        archive_id: Its own id.
        root_digest: sha256 of its manifest.
        revision: Of the schema that its rows are for.
        made: Its rows are made from its objects; they begin anew whenever they are interrupted.
    """

    archive_id: str
    root_digest: str
    revision: str
    made: bool


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was loaded into a table: how many rows, and the sum of their digests."""

    rows: int
    digest: str


@dataclass(frozen=True, slots=True)
class State:
    """What an interrupted restore left."""

    identity: Identity
    phase: str
    tables: dict[str, Loaded]
    foreign_keys: tuple[tuple[str, str, str], ...] = ()
    """Table, name and definition of the keys that are set aside (PostgreSQL)."""


def has_table(connection: sa.Connection, name: str) -> bool:
    """Tell whether a table is there; asked of the database each time."""
    return bool(sa.inspect(connection).has_table(name))


def read(connection: sa.Connection, names: Names = OF_TRACKING) -> State | None:
    """Return what a restore left; None if there is nothing of one.

    Raises:
        ConflictError: Another version wrote it, in its own form.
    """
    if not has_table(connection, names.table):
        return None
    state = names.state
    found = {str(row.item): str(row.value) for row in connection.execute(sa.select(state.c.item, state.c.value))}
    if "identity" not in found or "phase" not in found:
        return None
    try:
        return State(
            Identity(**json.loads(found["identity"])),
            found["phase"],
            {
                item.removeprefix(_OF_TABLE): Loaded(**json.loads(value))
                for item, value in found.items()
                if item.startswith(_OF_TABLE)
            },
            tuple(tuple(key) for key in json.loads(found.get("foreign_keys", "[]"))),
        )
    except (TypeError, ValueError) as error:
        raise ConflictError(
            "The database holds an exact restore of another version of mlflow-archive: complete it by the version that "
            "began it, or give another database.",
            code="other_restore",
        ) from error


def marked(connection: sa.Connection, names: Names = OF_TRACKING) -> bool:
    """Tell whether every MLflow is kept out of the database by the marker."""
    return revision(connection, names) == MARKER


def revision(connection: sa.Connection, names: Names = OF_TRACKING) -> str | None:
    """Return what the database says of its schema; None if it says nothing."""
    if not has_table(connection, names.version_table):
        return None
    found = connection.execute(sa.select(names.version.c.version_num)).scalars().first()
    return None if found is None else str(found)


def begin(connection: sa.Connection, identity: Identity, phase: str, names: Names = OF_TRACKING) -> None:
    """Mark the database, in which nothing of MLflow's may be of value any more."""
    names.state.metadata.create_all(connection)
    connection.execute(sa.delete(names.state))
    _put(connection, names, "phase", phase)
    _put(connection, names, "identity", json.dumps({name: getattr(identity, name) for name in Identity.__slots__}))
    names.version.metadata.create_all(connection)
    connection.execute(sa.delete(names.version))
    connection.execute(sa.insert(names.version).values(version_num=MARKER))


def set_phase(connection: sa.Connection, phase: str, names: Names = OF_TRACKING) -> None:
    """Remember how far the restore is."""
    _put(connection, names, "phase", phase)


def set_foreign_keys(connection: sa.Connection, keys: list[tuple[str, str, str]], names: Names = OF_TRACKING) -> None:
    """Remember the foreign keys that are set aside."""
    _put(connection, names, "foreign_keys", json.dumps(keys))


def set_loaded(connection: sa.Connection, table: str, loaded: Loaded, names: Names = OF_TRACKING) -> None:
    """Remember that a table is filled; in the transaction that filled it."""
    _put(connection, names, _OF_TABLE + table, json.dumps({"rows": loaded.rows, "digest": loaded.digest}))


def end(connection: sa.Connection, revision: str, names: Names = OF_TRACKING) -> None:
    """Write the true revision, with which the database is a whole one."""
    connection.execute(sa.update(names.version).values(version_num=revision))
    _put(connection, names, "phase", DONE)


def remove(connection: sa.Connection, names: Names = OF_TRACKING) -> None:
    """Drop the tables of the state, if they are there."""
    for name in (names.revision_table, names.table):
        if has_table(connection, name):
            connection.exec_driver_sql(f"DROP TABLE {name}")


def _put(connection: sa.Connection, names: Names, item: str, value: Any) -> None:
    connection.execute(sa.delete(names.state).where(names.state.c.item == item))
    connection.execute(sa.insert(names.state).values(item=item, value=value))
