"""Permissions of a Databricks workspace, as an export kept its answers; the direct ones, as records have them.

An export keeps the answers as they were: an access control list of the workspace, or the assignments of Unity Catalog.
What was inherited is not an object's own.
"""

from __future__ import annotations

from mlflow_archive.predecessor.values import member, objects, text
from mlflow_archive.spec.canonical import JSONObject, JSONValue

#: Field of an access control list -> the type of principal it names.
_PRINCIPALS = {"user_name": "user", "group_name": "group", "service_principal_name": "service_principal"}


def direct(kept: JSONValue) -> JSONObject:
    """Return the field ``permissions`` of a record; nothing if the export kept none."""
    if not isinstance(kept, dict) or not kept:
        return {}
    answer = member(kept, "permissions")
    grants: list[JSONValue] = []
    for entry in objects(answer.get("access_control_list")):
        levels = [
            text(level.get("permission_level"))
            for level in objects(entry.get("all_permissions"))
            if not level.get("inherited")
        ]
        field = next((name for name in _PRINCIPALS if text(entry.get(name))), None)
        if levels and field is not None:
            grants.append(
                {"principal": text(entry[field]), "principal_type": _PRINCIPALS[field], "privileges": [*levels]}
            )
    for entry in objects(answer.get("privilege_assignments")):
        words = entry.get("privileges")
        privileges: list[JSONValue] = [text(word) for word in words] if isinstance(words, list) else []
        if privileges:
            grants.append({"principal": text(entry.get("principal")), "privileges": privileges})
    return {"permissions": grants}
