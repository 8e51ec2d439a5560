"""A REST call that is answered by SQL: what is asked, and who answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.tracking.database.snapshot import Snapshot

#: The workspace of what belongs to none, as the tables call it.
DEFAULT_WORKSPACE = "default"


@dataclass(frozen=True, slots=True)
class Question:
    """One call.

    Attributes:
        snapshot: The database.
        asked: Body and query together; a repeated query parameter is a list. Numbers of a query are texts.
        workspace: Name of the workspace, as the column ``workspace`` has it.
        named: What the path names, by the names of the route's groups, unquoted.
    """

    snapshot: Snapshot
    asked: Mapping[str, JSONValue]
    workspace: str
    named: Mapping[str, str]

    def text(self, name: str) -> str:
        """Return a field of the request as text, "" where there is none."""
        value = self.asked.get(name)
        return "" if value is None or isinstance(value, (dict, list)) else str(value)

    def page(self, *, most: int, default: int = 1000) -> tuple[int, int]:
        """Return how many rows are asked for, and how many come before them (tokens are offsets)."""
        size = min(most, int(self.text("max_results") or default))
        return max(1, size), int(self.text("page_token") or 0)

    def here(self, table: sa.Table) -> sa.ColumnElement[bool]:
        """Return the condition for the rows of this workspace; before MLflow 3.10 there is only the default one."""
        if "workspace" in table.c:
            return table.c.workspace == self.workspace
        return sa.true() if self.workspace == DEFAULT_WORKSPACE else sa.false()


Answer = Callable[[Question], JSONObject]


@dataclass(frozen=True, slots=True)
class Route:
    """Who answers a call; ``path`` may hold ``{name}`` for one segment."""

    method: str
    path: str
    answer: Answer

    @property
    def pattern(self) -> re.Pattern[str]:
        """The path as an expression with named groups."""
        parts = re.split(r"\{(\w+)\}", self.path)
        return re.compile("".join(f"(?P<{part}>[^/]+)" if i % 2 else re.escape(part) for i, part in enumerate(parts)))


def present(row: Mapping[str, Any], *names: str) -> JSONObject:
    """Return fields of a row that are there and not NULL, as an answer of the server leaves others out."""
    return {name: row[name] for name in names if row.get(name) is not None}


def tag_list(pairs: Mapping[str, str] | list[tuple[str, str]]) -> list[JSONValue]:
    """Return tags or params as the server lists them."""
    items = pairs.items() if isinstance(pairs, Mapping) else pairs
    return [{"key": key, "value": value if value is not None else ""} for key, value in items]
