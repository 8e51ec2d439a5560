"""Artifact addresses in the rows, rewritten where the files move."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from mlflow_archive.errors import UsageError

#: Table -> columns with addresses.
ADDRESSES: dict[str, tuple[str, ...]] = {
    "experiments": ("artifact_location",),
    "runs": ("artifact_uri",),
    "logged_models": ("artifact_location",),
    "trace_tags": ("value",),
    "model_versions": ("source", "storage_location"),
    "workspaces": ("default_artifact_root", "trace_archival_location"),
}
#: Of `trace_tags`, only the values of these keys are addresses.
TRACE_KEYS = ("mlflow.artifactLocation", "mlflow.trace.archiveLocation")
#: Of characters of an address.
_LONGEST = 100_000


class Moves:
    """Beginnings of addresses, and what takes their place."""

    def __init__(self, moves: Mapping[str, str]) -> None:
        """Take the map; of several beginnings that fit, the longest counts.

        Raises:
            UsageError: A side is empty.
        """
        for old, new in moves.items():
            if not old or not new:
                raise UsageError(f"The move {old}={new} of artifacts lacks a side: write s3://old/root=s3://new/root.")
        self._moves = sorted(moves.items(), key=lambda move: -len(move[0]))

    def __bool__(self) -> bool:
        """True if anything moves."""
        return bool(self._moves)

    def of(self, address: str) -> str:
        """Return an address as it is afterwards."""
        for old, new in self._moves:
            if address.startswith(old) and (old.endswith("/") or address[len(old) : len(old) + 1] in ("", "/")):
                return _joined(old, new, address[len(old) :])
        return address

    def lead_to(self, address: str) -> bool:
        """Tell whether an address begins as those that were moved do."""
        return any(address == new or address.startswith(f"{new.rstrip('/')}/") for _, new in self._moves)

    def rewrite(self, connection: sa.Connection, tables: Mapping[str, sa.Table]) -> None:
        """Rewrite the addresses in the database, set by set."""
        if not self._moves:
            return
        for name, columns in ADDRESSES.items():
            for column in columns:
                if name in tables and column in tables[name].c:
                    self._rewrite(connection, tables[name], tables[name].c[column])

    def _rewrite(self, connection: sa.Connection, table: sa.Table, column: sa.Column[str]) -> None:
        part = sa.func.substr if connection.dialect.name == "sqlite" else sa.func.substring
        exact = sa.collate(column, "utf8mb4_bin") if connection.dialect.name == "mysql" else column
        changes: list[tuple[sa.ColumnElement[bool], sa.ColumnElement[str]]] = []
        for old, new in self._moves:
            begins = part(exact, 1, len(old)) == old
            if not old.endswith("/"):
                begins = sa.and_(begins, part(exact, len(old) + 1, 1).in_(("", "/")))
            # An address may begin with a slash more than the new beginning needs.
            cut = new.endswith("/") and not old.endswith("/")
            kept = part(column, len(old) + (2 if cut else 1), _LONGEST)
            changes.append((begins, _together(old, new, kept)))
        fitting: sa.ColumnElement[bool] = sa.or_(*(begins for begins, _ in changes))
        if table.name == "trace_tags":
            fitting = sa.and_(table.c.key.in_(TRACE_KEYS), fitting)
        connection.execute(sa.update(table).where(fitting).values({column.name: sa.case(*changes, else_=column)}))


def addresses_in(table: str, names: Sequence[str]) -> tuple[tuple[int, ...], int | None]:
    """Return which columns of a table's rows are addresses, and which one holds the key that must fit, if any."""
    places = tuple(names.index(column) for column in ADDRESSES.get(table, ()) if column in names)
    return places, names.index("key") if table == "trace_tags" and "key" in names else None


def _joined(old: str, new: str, rest: str) -> str:
    """Put the new beginning before the rest, with one slash between them."""
    if old.endswith("/") and not new.endswith("/") and rest:
        return f"{new}/{rest}"
    if new.endswith("/") and rest.startswith("/"):
        return new + rest[1:]
    return new + rest


def _together(old: str, new: str, kept: sa.ColumnElement[str]) -> sa.ColumnElement[str]:
    """The same as `_joined`, in SQL."""
    if old.endswith("/") and not new.endswith("/"):
        return sa.case((kept == "", sa.literal(new)), else_=sa.literal(f"{new}/").concat(kept))
    return sa.literal(new).concat(kept)
