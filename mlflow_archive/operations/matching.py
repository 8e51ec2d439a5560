"""Which object of one end is which object of the other."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.operations.fingerprint import Translation
from mlflow_archive.operations.ignored import is_ignored
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.provenance import SOURCE_ID
from mlflow_archive.spec.records.base import Record
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Item, ObjectKey, Source

_Token = TypeVar("_Token", bound=Hashable)

#: Ids that are made at random, so that the same id is the same object.
_RANDOM_IDS = frozenset(
    {
        Kind.RUN,
        Kind.LOGGED_MODEL,
        Kind.TRACE,
        Kind.EVALUATION_DATASET,
        Kind.LABEL_SCHEMA,
        Kind.REVIEW_QUEUE,
        Kind.ISSUE,
        Kind.BUDGET_POLICY,
    }
)
#: Kinds whose objects carry the id they were made from.
_TAGGED = frozenset(
    {
        Kind.EXPERIMENT,
        Kind.RUN,
        Kind.LOGGED_MODEL,
        Kind.REGISTERED_MODEL,
        Kind.PROMPT,
        Kind.EVALUATION_DATASET,
    }
)
#: Kinds with neither a name of their own nor a note: the same content in the same place is the same object.
_BY_CONTENT = frozenset({Kind.ISSUE, Kind.BUDGET_POLICY})
#: Kinds in which several objects may have one name.
_NAMELESS = frozenset({Kind.RUN, Kind.LOGGED_MODEL, Kind.TRACE, *_BY_CONTENT})


@dataclass(slots=True)
class Matches:
    """The pairs found so far.

    Attributes:
        pairs: Right key -> left key.
        ids: Right id -> left id, of what has ids that are found in texts.
        experiments: Right experiment id -> left experiment id.
    """

    pairs: dict[ObjectKey, ObjectKey] = field(default_factory=dict)
    ids: dict[str, str] = field(default_factory=dict)
    experiments: dict[str, str] = field(default_factory=dict)

    @property
    def translation(self) -> Translation:
        """Translates what the right end says."""
        return Translation(self.ids, self.experiments)


def match(left: Source, right: Source, selection: Selection) -> Matches:
    """Pair the objects of two ends.

    In this order: the same random id; the id that a restore noted, of either from the other; the same noted id; the
    same name in the same place. Each object is in one pair at most. Only keys are read, and the records of objects
    that have no partner of the same id.
    """
    matches = Matches()
    for kind in KIND_ORDER:
        if kind in left.kinds() and kind in right.kinds() and selection.wants(kind):
            _Pairing(kind, left, right, selection, matches).pair()
    return matches


class _Pairing:
    """Pairs the objects of one kind; what has no partner yet is in ``_left`` and ``_right``."""

    def __init__(self, kind: Kind, left: Source, right: Source, selection: Selection, matches: Matches) -> None:
        self._kind = kind
        self._selection = selection
        self._matches = matches
        self._left_end, self._right_end = left, right
        self._left = dict.fromkeys(item.key for item in self._items(left))
        self._right = dict.fromkeys(item.key for item in self._items(right))

    def pair(self) -> None:
        if self._kind in _RANDOM_IDS:
            self._join({key.id: key for key in self._left}, {key: key.id for key in self._right})
        if self._kind in _TAGGED and self._left and self._right:
            left, right = self._notes(self._left_end, self._left), self._notes(self._right_end, self._right)
            by_note = {note: key for key, note in left.items()}
            # Models of one name are in several workspaces, and a restore changes no workspace.
            self._join({(key.workspace, key.id): key for key in self._left}, right)
            self._join(by_note, {key: (key.workspace, key.id) for key in self._right})
            self._join(by_note, right)
        if self._kind in _BY_CONTENT and self._left and self._right:
            by_content = {token: key for key, token in self._contents(self._left_end, self._left).items()}
            self._join(by_content, self._contents(self._right_end, self._right))
        if self._kind not in _NAMELESS:
            experiments = self._matches.experiments
            self._join(
                {(key.workspace, key.experiment_id, key.name or key.id): key for key in self._left},
                {
                    key: (
                        key.workspace,
                        experiments.get(key.experiment_id or "", key.experiment_id),
                        key.name or key.id,
                    )
                    for key in self._right
                },
            )

    def _join(self, left: Mapping[_Token, ObjectKey], right: Mapping[ObjectKey, _Token]) -> None:
        for right_key, token in right.items():
            left_key = left.get(token)
            if left_key is None or left_key not in self._left or right_key not in self._right:
                continue
            del self._left[left_key], self._right[right_key]
            self._matches.pairs[right_key] = left_key
            if self._kind is Kind.EXPERIMENT:
                self._matches.experiments[right_key.id] = left_key.id
            elif self._kind in _RANDOM_IDS and right_key.id != left_key.id:
                self._matches.ids[right_key.id] = left_key.id

    def _contents(self, end: Source, keys: Mapping[ObjectKey, None]) -> dict[ObjectKey, Hashable]:
        """Return what these objects say of themselves; of several that say the same, which one it is."""
        counted: Counter[Hashable] = Counter()
        contents: dict[ObjectKey, Hashable] = {}
        for key, record in self._records(end, keys):
            home = self._matches.experiments.get(key.experiment_id or "", key.experiment_id)
            payload = getattr(record, "payload", {})
            said = frozenset(
                (name, repr(value)) for name, value in payload.items() if not is_ignored(self._kind, f"payload/{name}")
            )
            token = (key.workspace, home if end is self._right_end else key.experiment_id, said)
            counted[token] += 1
            contents[key] = (token, counted[token])
        return contents

    def _notes(self, end: Source, keys: Mapping[ObjectKey, None]) -> dict[ObjectKey, tuple[str | None, str]]:
        """Return workspace and id that a restore noted on these objects."""
        notes = {}
        for key, record in self._records(end, keys):
            tags = getattr(record, "tags", {})
            if SOURCE_ID in tags:
                notes[key] = (key.workspace, str(tags[SOURCE_ID]))
        return notes

    def _records(self, end: Source, keys: Mapping[ObjectKey, None]) -> Iterator[tuple[ObjectKey, Record]]:
        for item in self._items(end):
            if item.key not in keys:
                continue
            try:
                yield item.key, item.load().record
            except MlflowArchiveError:
                # The comparison comes to the same object, and says that it cannot be read.
                continue

    def _items(self, end: Source) -> Iterator[Item]:
        for entry in end.read(self._kind, self._selection):
            if not isinstance(entry, Loss):
                yield entry
