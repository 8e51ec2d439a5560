"""Objects that are asked for by their ids: read one by one, without listing what stands beside them.

A server has no listing by ids that all versions know, and an experiment may hold a million others.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from functools import partial
from itertools import islice

from mlflow_archive.errors import MlflowArchiveError, NotAuthorisedError, NotFoundError, UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import ObjectKey
from mlflow_archive.tracking.sources.context import Reading, lost

#: Returns the row of an object as its listing would show it, with its experiment; None if there is no such object.
Fetch = Callable[[Reading, "str | None", str], "tuple[JSONObject, str] | None"]

_AT_ONCE = 100


def rows(
    reading: Reading, fetch: Fetch, workspace: str | None, ids: Collection[str]
) -> Iterator[tuple[str, JSONObject, str] | tuple[str, MlflowArchiveError]]:
    """Yield the id, row and experiment of those that are there, or the id and the error of one that cannot be read."""
    waiting = iter(sorted(ids))
    while group := list(islice(waiting, _AT_ONCE)):
        answers = reading.pool.map(partial(_try, reading, fetch, workspace), group)
        for id, answer in zip(group, answers, strict=True):
            if isinstance(answer, MlflowArchiveError):
                yield id, answer
            elif answer is not None:
                yield id, *answer


def homes(
    reading: Reading, kind: Kind, fetch: Fetch, workspace: str | None, ids: Collection[str]
) -> tuple[dict[str, str], list[Loss]]:
    """Return id -> experiment of those that are there, and a loss for each that cannot be read; asked once."""
    losses: list[Loss] = []
    known = reading.homes(kind, workspace)
    for found in rows(reading, fetch, workspace, [id for id in ids if id not in known]):
        if len(found) == 3:
            reading.remember_home(kind, workspace, found[0], found[2])
        else:
            losses.append(lost(ObjectKey(kind, found[0], None, workspace), found[1]))
    known = reading.homes(kind, workspace)
    return {id: known[id] for id in ids if id in known}, losses


def _try(
    reading: Reading, fetch: Fetch, workspace: str | None, id: str
) -> tuple[JSONObject, str] | MlflowArchiveError | None:
    try:
        return fetch(reading, workspace, id)
    except (NotFoundError, UsageError) as error:
        # A server refuses what cannot be an id. A missing endpoint hides objects that may be there.
        return error if error.code == "endpoint_not_found" else None
    except NotAuthorisedError as error:
        if not error.forbidden:
            raise
        return error
    except MlflowArchiveError as error:
        return error
