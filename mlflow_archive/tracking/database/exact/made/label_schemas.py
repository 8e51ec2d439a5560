"""`label_schemas`: the questions of reviewers."""

from __future__ import annotations

from collections.abc import Iterator

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import Making, TableRows, not_understood
from mlflow_archive.tracking.database.exact.made.values import json_text, present
from mlflow_archive.tracking.paging import integer, text

#: What each kind of input keeps, in MLflow's order, with the value of what protobuf left out.
_INPUTS: dict[str, JSONObject] = {
    "pass_fail": {"positive_label": "", "negative_label": ""},
    "categorical": {"options": [], "multi_select": False},
    "numeric": {"min_value": None, "max_value": None},
    "text": {"max_length": None},
}


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:
    """Yield the row of a label schema.

    Raises:
        IntegrityError: It asks for something that MLflow 3.17 does not know.
    """
    record = content.record
    if not isinstance(record, ServerObjectRecord):
        return
    payload = record.payload
    experiment = making.experiment(key)
    given = payload.get("input")
    kind = next((name for name in _INPUTS if isinstance(given, dict) and name in given), None)
    if kind is None or not isinstance(given, dict):
        raise not_understood(key, "an input of a kind that MLflow 3.17 does not know")
    config = given[kind]
    created = integer(payload.get("created_at")) or 0
    yield (
        "label_schemas",
        [
            {
                "schema_id": text(payload.get("schema_id")) or key.id,
                "experiment_id": experiment,
                "name": text(payload.get("name")),
                "type": text(payload.get("type")).lower() or "feedback",
                "instruction": present(payload.get("instruction")),
                "enable_comment": bool(payload.get("enable_comment")),
                "input_type": kind,
                "input_config": json_text({**_INPUTS[kind], **(config if isinstance(config, dict) else {})}),
                "created_by": present(payload.get("created_by")),
                "created_time": created,
                "last_update_time": integer(payload.get("last_updated_at")) or created,
                "is_default": bool(payload.get("is_default")),
            }
        ],
    )
