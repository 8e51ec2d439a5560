"""Tags that an export mixed into those of a run, as the first generations did (G0 to G2).

They repeat what the run's own document says (``.run_info.``, ``.mlflow.``), or tell of the export (``.metadata.``).
A tag of that prefix that does not repeat this run was there before: it came with an earlier import, and is the run's
own. Later generations write such tags at import only, so that whatever an archive of theirs has is the run's own.
"""

from __future__ import annotations

PREFIX = "mlflow_export_import."
_METADATA = PREFIX + "metadata."
_RUN_INFO = PREFIX + "run_info."
_MLFLOW = PREFIX + "mlflow."
#: Of 2020.
_SOURCE_RUN = PREFIX + "source_run"


def own_tags(tags: dict[str, str], run_id: str) -> dict[str, str]:
    """Return the tags of a run without those that its export added.

    Args:
        tags: The tags of a flat document.
        run_id: The run's id.
    """
    named = {tags.get(f"{_RUN_INFO}run_id"), tags.get(f"{_RUN_INFO}run_uuid"), tags.get(f"{_METADATA}run_id")} - {None}
    foreign = bool(named) and run_id not in named
    return {key: value for key, value in tags.items() if not _is_added(key, value, tags, foreign=foreign)}


def _is_added(key: str, value: str, tags: dict[str, str], *, foreign: bool) -> bool:
    if key.startswith(_MLFLOW):
        return not foreign and tags.get(key.removeprefix(PREFIX)) == value
    return not foreign and key.startswith((_METADATA, _RUN_INFO, _SOURCE_RUN))
