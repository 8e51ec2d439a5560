"""What every record has, so that listings need not know the kinds."""

from __future__ import annotations

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.canonical import JSONObject

#: Tags as a mapping; MLflow's REST lists of ``{key, value}`` are turned into it by the source.
Tags = dict[str, str]
#: A JSON object of MLflow kept as the server gave it.
Payload = JSONObject


class Record(Document):
    """An object as its source gave it. Field names are MLflow's own; int64 are JSON integers."""

    @property
    def title(self) -> str | None:
        """What a person calls it, where that differs from the id."""
        return None

    @property
    def time_ms(self) -> int | None:
        """Creation or start, milliseconds since the epoch."""
        return None

    @property
    def state(self) -> str | None:
        """Status and life-cycle in a word or two, for listings."""
        return None
