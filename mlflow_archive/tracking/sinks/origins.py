"""Source tags of what is restored: what an object was at its source, if that is wanted and not told already.

Nothing here asks the target. An object that comes with source tags of any prefix keeps them: they tell its origin, and
under the prefix that is wanted the same origin is told again, never the tags around it. No value holds a password: URLs
go without user and query.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping

from mlflow_archive.spec.provenance import SOURCE_TAG_PREFIXES
from mlflow_archive.spec.records.experiment import ExperimentRecord
from mlflow_archive.spec.records.registered_model import ModelVersion, RegisteredModelRecord
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.spec.source_tags import Origin, from_tags, to_tags
from mlflow_archive.storage.opening import public_url

#: What every server takes as the value and as the key of a tag; newer ones take more.
MAX_VALUE_CHARS = 5000
MAX_KEY_CHARS = 250

_RUN_FIELDS = (
    "run_id",
    "experiment_id",
    "run_name",
    "user_id",
    "status",
    "start_time",
    "end_time",
    "lifecycle_stage",
    "artifact_uri",
)
_EXPERIMENT_FIELDS = (
    "experiment_id",
    "name",
    "artifact_location",
    "lifecycle_stage",
    "creation_time",
    "last_update_time",
)
_MODEL_FIELDS = ("name", "description", "creation_timestamp", "last_updated_timestamp")
_VERSION_FIELDS = (
    "version",
    "description",
    "creation_timestamp",
    "last_updated_timestamp",
    "user_id",
    "current_stage",
    "source",
    "run_id",
    "run_link",
    "status",
    "status_message",
    "model_id",
    "storage_location",
)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]+://\S+")


class SourceTags:
    """Makes the source tags of one restore."""

    def __init__(self, prefix: str | None, note: Callable[[str], None]) -> None:
        """Make tags of this prefix; None makes none.

        Args:
            prefix: One of `SOURCE_TAG_PREFIXES`.
            note: Told, in a sentence, of what did not go into a tag.
        """
        self._prefix = prefix
        self._note = note
        self._told: set[str] = set()

    def of_run(self, record: RunRecord) -> dict[str, str]:
        """Return the source tags of a run."""
        fields = {name: getattr(record.info, name) for name in _RUN_FIELDS}
        return self._tags(fields, record.tags, f"run {record.info.run_id}", of_run=True)

    def of_experiment(self, record: ExperimentRecord) -> dict[str, str]:
        """Return the source tags of an experiment."""
        fields = {name: getattr(record, name) for name in _EXPERIMENT_FIELDS}
        return self._tags(fields, record.tags, f"experiment {record.name!r}")

    def of_model(self, record: RegisteredModelRecord) -> dict[str, str]:
        """Return the source tags of a registered model, without its versions."""
        fields = {name: getattr(record, name) for name in _MODEL_FIELDS}
        return self._tags(fields, record.tags, f"registered model {record.name!r}")

    def of_version(self, record: RegisteredModelRecord, version: ModelVersion) -> dict[str, str]:
        """Return the source tags of a version of a registered model."""
        fields = {"name": record.name, **{name: getattr(version, name) for name in _VERSION_FIELDS}}
        aliases = sorted(alias for alias, number in record.aliases.items() if number == version.version)
        if aliases:
            ours = self._prefix == SOURCE_TAG_PREFIXES["mlflow_archive"]
            fields["aliases"] = json.dumps(aliases) if ours else str(aliases)
        return self._tags(fields, version.tags, f"version {version.version} of {record.name!r}")

    def _tags(
        self, fields: Mapping[str, object], tags: Mapping[str, str], what: str, *, of_run: bool = False
    ) -> dict[str, str]:
        if self._prefix is None:
            return {}
        told = from_tags(tags, of_run=of_run)
        if told is not None and any(name.startswith(self._prefix) for name in tags):
            return {}
        origin = told[1] if told else _origin(fields, tags)
        written = to_tags(origin, self._prefix, of_run=of_run)
        return {name: self._fitting(name, value, what) for name, value in written.items() if self._has_room(name, what)}

    def _has_room(self, name: str, what: str) -> bool:
        if len(name) > MAX_KEY_CHARS:
            self._tell(f"The source tag {name} is left out: no tag may have so long a name", what)
        return len(name) <= MAX_KEY_CHARS

    def _fitting(self, name: str, value: str, what: str) -> str:
        value = public_url(value) if _URL.fullmatch(value) else value
        if len(value) > MAX_VALUE_CHARS:
            self._tell(
                f"The source tag {name} holds the first {MAX_VALUE_CHARS:,} characters where there are more", what
            )
        return value[:MAX_VALUE_CHARS]

    def _tell(self, sentence: str, what: str) -> None:
        """Say it of the first object that it is true of: there may be very many."""
        if sentence not in self._told:
            self._told.add(sentence)
            self._note(f"{sentence} (the first: {what}).")


def _origin(fields: Mapping[str, object], tags: Mapping[str, str]) -> Origin:
    told = {name: str(value) for name, value in fields.items() if value not in (None, "")}
    return Origin(told, {name: value for name, value in tags.items() if name.startswith("mlflow.")})
