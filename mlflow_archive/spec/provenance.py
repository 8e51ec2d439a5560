"""Tags that a restore writes on what it creates, so that a second restore finds it and a reader knows its origin.

They are this tool's own: a backup keeps them like any other tag, a comparison leaves them out.
"""

from __future__ import annotations

PREFIX = "mlflow_archive."
#: The object's id at its source (run, logged model, experiment ...), or its name.
SOURCE_ID = PREFIX + "source_id"
#: The uri of the source server, without credentials.
SOURCE_URI = PREFIX + "source_uri"
#: Parent run at the source, where the parent is not at the target (lineage).
SOURCE_PARENT_RUN_ID = PREFIX + "source_parent_run_id"
#: Run at the source that made a logged model or a model version, where that run is not at the target (lineage).
SOURCE_RUN_ID = PREFIX + "source_run_id"
#: Where a model version's files were at the source, where the target's registry could not take that place.
SOURCE_LOCATION = PREFIX + "source_location"
#: On an object whose restore has begun and not ended; deleted when it is whole.
INCOMPLETE = PREFIX + "incomplete"
#: On a run whose notebook was imported into a Databricks workspace: the path of the notebook there.
NOTEBOOK = PREFIX + "notebook"
#: On a model version made only to keep a gap in the numbers (``true``), deleted at once; or the number that a version
#: should have, as long as it is not sure that it has it.
GAP = PREFIX + "gap"

#: Under each of these words the information about the source that a restore writes into tags when it is asked to; the
#: second and third are those of mlflow-export-import, the newer and the older.
SOURCE_TAG_PREFIXES = {
    "mlflow_archive": PREFIX + "source.",
    "mlflow_exim": "mlflow_exim.",
    "mlflow_export_import": "mlflow_export_import.",
}


def is_provenance(tag: str) -> bool:
    """Tell whether a tag was written by a restore of this tool."""
    return tag.startswith(PREFIX)


def is_source_tag(tag: str) -> bool:
    """Tell whether a tag holds information about an object's source, under any of the prefixes."""
    return tag.startswith(tuple(SOURCE_TAG_PREFIXES.values()))
