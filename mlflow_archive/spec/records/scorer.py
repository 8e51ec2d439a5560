"""The scorer record. Source: ``3.0 scorers/list``, ``scorers/versions`` (MLflow 3.4 and later)."""

from __future__ import annotations

from mlflow_archive.spec.base import Document
from mlflow_archive.spec.records.base import Payload, Record


class ScorerVersion(Document):
    """One version of a scorer."""

    scorer_version: int
    serialized_scorer: str
    creation_time: int | None = None
    """Milliseconds since the epoch."""
    scorer_id: str | None = None


class ScorerRecord(Record):
    """A scorer with all its versions. The id of the object is the scorer's name."""

    experiment_id: str
    scorer_name: str
    versions: tuple[ScorerVersion, ...] = ()
    """Ascending by number."""
    online_config: Payload | None = None
    """The online scoring configuration (MLflow 3.9 and later)."""

    @property
    def title(self) -> str:
        """The name."""
        return self.scorer_name

    @property
    def state(self) -> str:
        """How many versions."""
        return f"{len(self.versions)} version{'' if len(self.versions) == 1 else 's'}"
