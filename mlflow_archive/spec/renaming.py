"""Names at a target: which object goes by which other name there.

A `Renaming` has exact names, which come first, and rules for beginnings of names, of which the first that fits is
taken. A rule fits only where a name has a boundary, so that ``/Users/me`` is about ``/Users/me`` and
``/Users/me/iris``, and not about ``/Users/megan``; and only the beginning is replaced, not what looks like it further
on. It knows nothing of MLflow and never fails: a name that nothing is said about stays.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, field

from mlflow_archive.errors import UsageError


@dataclass(frozen=True, slots=True)
class Renaming:
    """Names at a target by the names at the source.

    Attributes:
        exact: Whole name -> name at the target.
        prefixes: Beginning of a name, and what stands there at the target; the first that fits is taken.
    """

    exact: Mapping[str, str] = field(default_factory=dict)
    prefixes: tuple[tuple[str, str], ...] = ()

    @classmethod
    def of(cls, wish: Mapping[str, str] | Renaming | None) -> Renaming:
        """Return a renaming for what a person gave: a mapping is exact names, None renames nothing."""
        return wish if isinstance(wish, Renaming) else cls(dict(wish or {}))

    @classmethod
    def from_file(cls, text: str) -> Renaming:
        """Read lines of ``old,new``; each is about the name ``old`` and about what begins with it.

        The lines are CSV: a name that holds a comma or a quotation mark stands between quotation marks. Empty lines
        say nothing, nor do spaces around a name.

        Raises:
            UsageError: A line is none, or renames again what an earlier line renames otherwise.
        """
        rules: dict[str, str] = {}
        lines = csv.reader(text.removeprefix("\ufeff").splitlines(), strict=True, skipinitialspace=True)
        try:
            for row in lines:
                if row and row != [""]:
                    _add(rules, row, lines.line_num)
        except csv.Error as error:
            raise UsageError(f"Line {lines.line_num} of the rename file is not CSV ({error}).") from error
        return cls(dict(rules), tuple(rules.items()))

    def with_names(self, exact: Mapping[str, str]) -> Renaming:
        """Return the same with further exact names, which come before those it has."""
        return Renaming({**self.exact, **exact}, self.prefixes)

    def rename(self, name: str) -> str:
        """Return the name at the target."""
        if name in self.exact:
            return self.exact[name]
        for old, new in self.prefixes:
            if name.startswith(old) and _ends_there(name, old):
                return new + name[len(old) :]
        return name


def _add(rules: dict[str, str], row: list[str], number: int) -> None:
    names = [name.strip() for name in row]
    if len(names) != 2 or not all(names):
        raise UsageError(
            f"Line {number} of the rename file is not of the form old,new; put a name with a comma in quotation marks."
        )
    old, new = names
    if rules.setdefault(old, new) != new:
        raise UsageError(f"Line {number} of the rename file renames {old!r} a second time, to another name.")


def _ends_there(name: str, old: str) -> bool:
    """Tell whether a name that begins with ``old`` has a boundary after it.

    That is the end, a slash, the dot of ``catalog.schema.model``, or wherever ``old`` itself ends in a mark: who
    writes ``dev_`` means all names that begin so.
    """
    if not old[-1:].isalnum():
        return bool(old)
    following = name[len(old) : len(old) + 1]
    return following in ("", "/") or (following == "." and "/" not in name)
