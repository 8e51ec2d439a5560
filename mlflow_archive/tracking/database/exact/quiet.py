"""What would act by itself as soon as a server starts on the database, switched off."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import sqlalchemy as sa

#: How `jobs` numbers what has not ended: pending, running, needs recovery; and what was called off.
_UNENDED = (0, 1, 6)
_CANCELED = 5


def switch_off(connection: sa.Connection, tables: Mapping[str, sa.Table]) -> tuple[str, ...]:
    """Cancel jobs, disable webhooks and set the sample rate of online scorers to 0.

    Returns:
        What was switched off, in sentences.
    """
    changes: tuple[tuple[str, str, object, Callable[[sa.Column[Any]], Any], str], ...] = (
        ("jobs", "status", _CANCELED, lambda column: column.in_(_UNENDED), "jobs that had not ended are canceled"),
        ("webhooks", "status", "DISABLED", lambda column: column == "ACTIVE", "webhooks are disabled"),
        ("online_scoring_configs", "sample_rate", 0.0, lambda column: column > 0, "online scorers are off"),
    )
    notes = []
    for name, column, value, acts, sentence in changes:
        table = tables.get(name)
        if table is None or column not in table.c:
            continue
        done = connection.execute(sa.update(table).where(acts(table.c[column])).values({column: value}))
        if done.rowcount:
            notes.append(f"{done.rowcount:,} {sentence}; --activate restores them as they were.")
    return tuple(notes)
