"""What is in the archive so far: index lines, kept small until their section is written."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from threading import Lock

from mlflow_archive.archive.documents import put_lines
from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.descriptor import INDEX_TYPE
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.layout import index_path
from mlflow_archive.spec.object import IndexEntry, Section
from mlflow_archive.storage.store import Store
from mlflow_archive.stream import ObjectKey, Scope

_ORDER = {kind: number for number, kind in enumerate(KIND_ORDER)}


class Ledger:
    """Collects the index entries of an archive under construction. Safe to use from several threads.

    A line takes about 400 bytes and lives until its scope is closed; those of experiments live to the end, because
    they carry the sections below them.
    """

    def __init__(self, store: Store) -> None:
        """Write indexes into ``store``."""
        self._store = store
        self._lock = Lock()
        self._open: dict[Scope, _Lines] = {}
        self._closed: dict[Scope, Section] = {}
        self._stored: Counter[Kind] = Counter()

    def reserve(self, key: ObjectKey) -> bool:
        """Claim an object's place; False if it is there already.

        Raises:
            NotFoundError: The object's experiment is not in the archive, so there is no section for the object.
        """
        with self._lock:
            self._require_experiment(key)
            if key.scope in self._closed:
                raise ValueError(f"{key} comes after its section was written")
            lines = self._open.setdefault(key.scope, _Lines())
            if key.id in lines.by_id:
                return False
            lines.by_id[key.id] = b""
            return True

    def release(self, key: ObjectKey) -> None:
        """Give a place back that could not be filled."""
        with self._lock:
            del self._open[key.scope].by_id[key.id]

    def enter(self, key: ObjectKey, entry: IndexEntry) -> None:
        """Fill a reserved place."""
        line = entry.to_line()
        with self._lock:
            lines = self._open[key.scope]
            lines.by_id[key.id] = line
            lines.total_bytes += entry.total_bytes
            self._stored[key.kind] += 1

    def close_scope(self, scope: Scope) -> None:
        """Write the index of a section; experiments wait for `sections`."""
        if scope.kind is not Kind.EXPERIMENT:
            self._close(scope, {})

    def counts(self) -> dict[Kind, int]:
        """Return how many objects of each kind are in."""
        with self._lock:
            return dict(self._stored)

    def sections(self) -> tuple[Section, ...]:
        """Write the indexes that are left, and return the sections at the root, in the order of the kinds."""
        for scope in [scope for scope in self._open if scope.kind is not Kind.EXPERIMENT]:
            self._close(scope, {})
        children: dict[tuple[str | None, str], list[Section]] = {}
        roots: list[Section] = []
        for scope, section in self._closed.items():
            parent = self._open.get(Scope(Kind.EXPERIMENT, None, scope.workspace))
            if scope.experiment_id is not None and parent is not None and scope.experiment_id in parent.by_id:
                children.setdefault((scope.workspace, scope.experiment_id), []).append(section)
            else:
                roots.append(section)
        for scope in list(self._open):
            below = {id: _ordered(found) for (workspace, id), found in children.items() if workspace == scope.workspace}
            written = self._close(scope, below)
            if written is not None:
                roots.append(written)
        return _ordered(roots)

    def _require_experiment(self, key: ObjectKey) -> None:
        if key.scope.experiment_id is None:
            return
        above = self._open.get(Scope(Kind.EXPERIMENT, None, key.workspace))
        if above is None or not above.by_id.get(key.scope.experiment_id):
            raise NotFoundError(
                f"The experiment {key.experiment_id!r} of this {key.kind} is not in the archive, so it has no place.",
                code="no_experiment",
            )

    def _close(self, scope: Scope, children: dict[str, tuple[Section, ...]]) -> Section | None:
        lines = self._open.get(scope)
        if lines is None or not lines.by_id:
            self._open.pop(scope, None)
            return None
        total = lines.total_bytes + sum(section.total_bytes for found in children.values() for section in found)
        path = index_path(scope.kind, experiment_id=scope.experiment_id, workspace=scope.workspace)
        body = (_with_children(lines.by_id[id], children.get(id, ()), path) for id in sorted(lines.by_id))
        index = put_lines(self._store, path, body, INDEX_TYPE)
        section = Section(kind=scope.kind, count=len(lines.by_id), total_bytes=total, index=index)
        if scope.workspace is not None:
            section = Section(**{**dict(section), "workspace": scope.workspace})
        with self._lock:
            del self._open[scope]
            self._closed[scope] = section
        return section


class _Lines:
    def __init__(self) -> None:
        self.by_id: dict[str, bytes] = {}
        self.total_bytes = 0


def _with_children(line: bytes, children: tuple[Section, ...], path: str) -> bytes:
    if not children:
        return line
    entry = IndexEntry.from_bytes(line, path)
    return entry.model_copy(update={"children": children}).to_line()


def _ordered(sections: Iterable[Section]) -> tuple[Section, ...]:
    return tuple(sorted(sections, key=lambda s: (_ORDER[s.kind], s.workspace or "", s.index.path)))
