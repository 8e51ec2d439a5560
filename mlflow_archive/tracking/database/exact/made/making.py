"""What the makers of rows share: what was made already, what was invented, and what could not be made."""

from __future__ import annotations

import json
import threading
import uuid
from collections import Counter
from collections.abc import Hashable, Iterable, Iterator
from dataclasses import dataclass, field

from mlflow_archive.errors import IntegrityError, UnsupportedError
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import ObjectKey

#: A row by the names of its columns. Values are int, float, bool, str or None; JSON columns hold the text of the JSON.
Row = dict[str, object]
#: Name of a table, and some of its rows.
TableRows = tuple[str, list[Row]]

#: The workspace of what belongs to none, as the tables call it.
DEFAULT_WORKSPACE = "default"
#: Most rows that are handed over at once.
BATCH_ROWS = 10_000
#: Longer rows are handed over sooner.
_BATCH_CHARACTERS = 4 << 20
#: The code of a loss: a row that this one belongs to is not in the archive.
NO_PARENT = "missing_reference"

#: Ids that MLflow draws by lot are made from what they stand for, so that a repeated restore makes the same ones.
_INVENTED = uuid.UUID("6d1ff0a4-9d0f-5b6c-8a43-3f1f0c3c7a10")


@dataclass
class Making:
    """One restore. Safe to use from several threads.

    Attributes:
        deleted_ms: When deleted runs were deleted at the latest, milliseconds since the epoch; None if nobody knows.
        losses: What of an object cannot be a row.
    """

    deleted_ms: int | None = None
    losses: list[Loss] = field(default_factory=list)
    _made: dict[str, set[Hashable]] = field(default_factory=dict)
    _waiting: dict[str, list[tuple[str, Row]]] = field(default_factory=dict)
    _endpoints: dict[str, dict[str, str]] = field(default_factory=dict)
    _sentences: Counter[str] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def first(self, table: str, id: Hashable) -> bool:
        """Tell whether this row was not made before, and remember it."""
        with self._lock:
            made = self._made.setdefault(table, set())
            if id in made:
                return False
            made.add(id)
            return True

    def has(self, table: str, id: Hashable) -> bool:
        """Tell whether a row was remembered by `first`."""
        return id in self._made.get(table, ())

    def lose(self, loss: Loss) -> None:
        """Remember a part of an object that has no row."""
        with self._lock:
            self.losses.append(loss)

    def count(self, sentence: str, number: int = 1) -> None:
        """Remember something that is so for many objects; ``{n}`` in the sentence becomes how many."""
        if number:
            with self._lock:
                self._sentences[sentence] += number

    def remark(self, sentence: str) -> None:
        """Remember something that is so, however often."""
        self.count(sentence)

    def notes(self) -> tuple[str, ...]:
        """Return the sentences, each once, sorted."""
        return tuple(sorted(sentence.replace("{n}", f"{n:,}") for sentence, n in self._sentences.items()))

    def wait(self, table: str, workspace: str, row: Row) -> None:
        """Keep a row until all objects were seen."""
        with self._lock:
            self._waiting.setdefault(table, []).append((workspace, row))

    def waiting(self, table: str) -> list[tuple[str, Row]]:
        """Return the rows that waited, each with its workspace."""
        return self._waiting.get(table, [])

    def name_endpoint(self, workspace: str, name: str, id: str) -> None:
        """Remember the name of a gateway endpoint."""
        with self._lock:
            self._endpoints.setdefault(workspace, {})[name] = id
        self.first("endpoints", id)

    def endpoint_ids(self, workspace: str) -> dict[str, str]:
        """Return name -> id of the endpoints of a workspace."""
        return self._endpoints.get(workspace, {})

    def experiment(self, key: ObjectKey) -> int:
        """Return the number of the experiment that an object belongs to.

        Raises:
            UnsupportedError: It is not in the archive, and the row could not refer to it.
        """
        number = experiment_number(key.experiment_id or "")
        if not self.has("experiments", number):
            raise missing(key, f"the experiment {number}")
        return number


def missing(key: ObjectKey, what: str) -> UnsupportedError:
    """Return the error that an object refers to something that a database must have and the archive has not."""
    return UnsupportedError(
        f"The {key.kind.value.replace('_', ' ')} {key.id} belongs to {what}, which is not in the archive, or not asked "
        "for: a database cannot hold it without; restore it over the API instead.",
        code=NO_PARENT,
    )


def experiment_number(id: str) -> int:
    """Return an experiment's id as the tables have it.

    Raises:
        UnsupportedError: It is none that a database can have.
    """
    try:
        return int(id)
    except ValueError:
        raise UnsupportedError(
            f"The experiment id {id!r} is not a number, and a database can have no other; restore over the API.",
            code="experiment_id",
        ) from None


def invented(*parts: object) -> str:
    """Return the id of something that MLflow would have drawn by lot: always the same 32 digits for the same thing."""
    return uuid.uuid5(_INVENTED, json.dumps([str(part) for part in parts], ensure_ascii=True)).hex


def compact(id: str) -> Hashable:
    """Return an id in a form that takes less memory, where it is a number in hexadecimal digits."""
    try:
        return bytes.fromhex(id) if len(id) == 32 else id
    except ValueError:
        return id


def workspace_of(key: ObjectKey) -> str:
    """Return the workspace as the column has it."""
    return key.workspace or DEFAULT_WORKSPACE


def batches(table: str, rows: Iterable[Row]) -> Iterator[TableRows]:
    """Yield the rows of a table in lists of at most `BATCH_ROWS`, fewer if they are long; nothing if there are none."""
    batch: list[Row] = []
    characters = 0
    for row in rows:
        batch.append(row)
        characters += sum(len(value) for value in row.values() if isinstance(value, str))
        if len(batch) >= BATCH_ROWS or characters > _BATCH_CHARACTERS:
            yield table, batch
            batch, characters = [], 0
    if batch:
        yield table, batch


def not_understood(key: ObjectKey, what: str) -> IntegrityError:
    """Return the error that a value of an object is none of its kind."""
    return IntegrityError(f"The {key.kind.value.replace('_', ' ')} {key.id} has {what}.", code="not_understood")
