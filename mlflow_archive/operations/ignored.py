"""What a comparison leaves out, and why: fields that no restore over MLflow's API can set.

Paths are those of `mlflow_archive.operations.fingerprint`: field names joined by ``/``, items of a list of versions
by their number, ``*`` for anything. Identity (an object's own id) is left out because it is what objects are matched
by; references to other objects are compared, after translation.
"""

from __future__ import annotations

from fnmatch import fnmatchcase

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.provenance import is_provenance

_ID = "the server makes the id; objects are matched by it"
_TIME = "the server sets the time when the object is written"
_PLACE = "the server decides where files are; the files themselves are compared"
_USER = "the server puts in the user who makes the request"
_DERIVED = "the server derives it from what is compared"
_UNASKED = "a Databricks workspace tells them only when it is asked for them, which a comparison does not"
_BY_SQL_ALONE = "only a database tells it; exact restores, which bring it, compare rows themselves"
_QUIET = "a restore switches off what acts by itself"

_VERSIONED: dict[str, str] = {
    "creation_timestamp": _TIME,
    "last_updated_timestamp": _TIME,
    "latest_versions*": _DERIVED,
    "user_id": _USER,
    "versions/*/creation_timestamp": _TIME,
    "versions/*/last_updated_timestamp": _TIME,
    "versions/*/user_id": _USER,
    "versions/*/storage_location": _PLACE,
    "versions/*/status_message": _DERIVED,
    "versions/*/aliases": _DERIVED,
    "versions/*/name": _DERIVED,
    "permissions*": _UNASKED,
}
_GENERIC: dict[str, str] = {
    "payload/*id": _ID,
    "payload/creat*": _TIME,
    "payload/last_update*": _TIME,
    "payload/update*": _TIME,
    "details/*": "they belong to objects that a restore makes anew",
}

#: Kind -> path pattern -> reason. Kinds that are not here use the generic table.
IGNORED: dict[Kind, dict[str, str]] = {
    Kind.WORKSPACE: {"default_artifact_root": _PLACE},
    Kind.EXPERIMENT: {
        "experiment_id": _ID,
        "artifact_location": _PLACE,
        "permissions*": _UNASKED,
        "creation_time": _TIME,
        "last_update_time": _TIME,
    },
    Kind.RUN: {
        "info/run_id": _ID,
        "info/run_uuid": _ID,
        "info/artifact_uri": _PLACE,
        "info/deleted_time": _BY_SQL_ALONE,
        "info/entry_point_name": _BY_SQL_ALONE,
        "info/source_*": _BY_SQL_ALONE,
    },
    Kind.LOGGED_MODEL: {
        "info/model_id": _ID,
        "info/artifact_uri": _PLACE,
        "info/creation_timestamp_ms": _TIME,
        "info/last_updated_timestamp_ms": _TIME,
        "info/creator_id": _USER,
        "info/registrations": _DERIVED,
        "tags/mlflow.modelVersions": _DERIVED,
    },
    Kind.REGISTERED_MODEL: _VERSIONED,
    Kind.PROMPT: _VERSIONED,
    Kind.TRACE: {
        "tags/mlflow.artifactLocation": _PLACE,
        "tags/mlflow.trace.spansLocation": _PLACE,
        "spans_location": _PLACE,
        "assessments/assessment_id": _ID,
        "assessments/create_time": _TIME,
        "assessments/last_update_time": _TIME,
    },
    Kind.EVALUATION_DATASET: {
        "dataset_id": _ID,
        "created_time": _TIME,
        "last_update_time": _TIME,
        "created_by": _USER,
        "last_updated_by": _USER,
        "digest": _DERIVED,
        "profile": _DERIVED,
        "schema": _DERIVED,
        "records/dataset_record_id": _ID,
        "records/dataset_id": _ID,
        "records/created_time": _TIME,
        "records/last_update_time": _TIME,
        "records/created_by": _USER,
        "records/last_updated_by": _USER,
    },
    Kind.SCORER: {
        "versions/*/creation_time": _TIME,
        "versions/*/scorer_id": _ID,
        "online_config/online_scoring_config_id": _ID,
        "online_config/scorer_id": _ID,
        "online_config/sample_rate": _QUIET,
    },
    Kind.MCP_SERVER: {**_GENERIC, "payload/access_endpoints": _GENERIC["details/*"]},
    Kind.WEBHOOK: {
        "webhook_id": _ID,
        "creation_timestamp": _TIME,
        "last_updated_timestamp": _TIME,
        "status": _QUIET,
    },
}


def is_ignored(kind: Kind, path: str) -> bool:
    """Tell whether a comparison leaves this path out."""
    if any(is_provenance(segment) for segment in path.split("/")):
        return True
    return any(fnmatchcase(path, pattern) for pattern in IGNORED.get(kind, _GENERIC))
