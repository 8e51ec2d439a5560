"""Registered models as the operator wants them at the target: by which name, and with which of what they bear."""

from __future__ import annotations

import re

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.registered_model import ModelVersion, RegisteredModelRecord
from mlflow_archive.stream import ObjectKey
from mlflow_archive.tracking.sinks.context import SinkContext

_WORDS = {
    Kind.REGISTERED_MODEL: ("model_name", "registered models"),
    Kind.PROMPT: ("prompt_name", "prompts"),
    Kind.EVALUATION_DATASET: ("dataset_name", "evaluation datasets"),
}


class Names:
    """Gives objects of the registry their names at the target."""

    def __init__(self, context: SinkContext) -> None:
        """Know of no object yet."""
        self._context = context
        self._only: dict[tuple[str | None, Kind], str] = {}

    def at_target(self, key: ObjectKey, name: str) -> str:
        """Return the name at the target.

        Raises:
            UsageError: A single name was given for this kind, and this is the second object of it.
        """
        only = self._context.options.only_names.get(key.kind)
        if only is None:
            return name if key.kind is Kind.EVALUATION_DATASET else self._context.options.rename_model.rename(name)
        first = self._only.setdefault((key.workspace, key.kind), name)
        if first != name:
            word, what = _WORDS[key.kind]
            raise UsageError(
                f"{only!r} can be the name of one object only, and {first!r} has it already; choose one of the {what}, "
                f"or use renames instead of {word}."
            )
        return only


def adapted(context: SinkContext, key: ObjectKey, record: RegisteredModelRecord) -> RegisteredModelRecord:
    """Return the record with what the operator wants of it, and with source tags if they are wanted.

    A prompt stays as it is: its tags are what it is made of.
    """
    if key.kind is not Kind.REGISTERED_MODEL:
        return record
    options, source_tags = context.options, context.source_tags
    stage = {} if options.stages_and_aliases else {"current_stage": None}
    versions = tuple(
        version.model_copy(
            update={"tags": version.tags | source_tags.of_version(record, version), **stage, **_place(context, version)}
        )
        for version in record.versions
    )
    tags = record.tags if options.registry_metadata else {}
    return record.model_copy(
        update={
            "versions": versions,
            "tags": tags | source_tags.of_model(record),
            "description": record.description if options.registry_metadata else None,
            "aliases": record.aliases if options.stages_and_aliases else {},
        }
    )


def _place(context: SinkContext, version: ModelVersion) -> dict[str, str]:
    """Return where the files of a copy of another version are, as that one may not come along."""
    original = re.match(r"models:/(?!m-[0-9a-f]{32}$)", version.source or "")
    if context.options.append_versions and original is not None and version.storage_location:
        return {"source": version.storage_location}
    return {}
