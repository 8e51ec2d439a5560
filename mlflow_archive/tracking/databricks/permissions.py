"""Permissions of experiments and registered models: the direct ones, read and set.

What a user may do by a grant on a folder, a schema or a catalog above is not an object's own, and is neither read nor
set: at the target, what is above decides.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from urllib.parse import quote

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.permissions import Grant
from mlflow_archive.stream import ObjectKey
from mlflow_archive.tracking.databricks.client import DatabricksClient
from mlflow_archive.tracking.databricks.unity_catalog import in_unity_catalog
from mlflow_archive.tracking.paging import member, objects, text
from mlflow_archive.tracking.sinks.context import attempt

#: Field of an access control list -> the type of principal it names.
_PRINCIPALS = {"user_name": "user", "group_name": "group", "service_principal_name": "service_principal"}
#: Begins the words of a workspace's levels; Unity Catalog has none like them.
_LEVEL = "CAN_"
_MODEL = "/api/2.0/mlflow/databricks/registered-models/get"


class Permissions:
    """The permissions of one workspace's objects."""

    def __init__(self, client: DatabricksClient) -> None:
        """Ask nothing yet."""
        self._client = client

    def direct(self, kind: Kind, id: str) -> tuple[Grant, ...]:
        """Return the direct grants on an experiment (by id) or a registered model (by name).

        Raises:
            MlflowArchiveError: The workspace does not tell.
        """
        if kind is Kind.REGISTERED_MODEL and in_unity_catalog(id):
            return tuple(self._in_unity(id))
        answer = self._client.call("GET", self._workspace_path(kind, id))
        return tuple(_direct(objects(answer.get("access_control_list"))))

    def grant(self, key: ObjectKey, target_id: str, grants: Iterable[Grant]) -> Iterator[Loss]:
        """Give each principal what it had; yield a loss for each that the workspace refuses.

        Args:
            key: The object at the source.
            target_id: Its id, or its name, at this workspace.
            grants: The direct grants at the source.
        """
        unity = key.kind is Kind.REGISTERED_MODEL and in_unity_catalog(target_id)
        path = _unity_path(target_id) if unity else None
        for grant in grants:
            place = f"permissions/{grant.principal}"
            if path is not None:
                yield from attempt(key, place, partial(self._grant_in_unity, path, grant))
                continue
            for level in grant.privileges:
                yield from attempt(key, place, partial(self._grant_level, key.kind, target_id, grant, level))

    def _grant_in_unity(self, path: str, grant: Grant) -> None:
        if any(word.startswith(_LEVEL) for word in grant.privileges):
            raise _other_words(grant, "Unity Catalog")
        change: JSONObject = {"principal": grant.principal, "add": list(grant.privileges)}
        self._client.call("PATCH", path, body={"changes": [change]})

    def _grant_level(self, kind: Kind, id: str, grant: Grant, level: str) -> None:
        if not level.startswith(_LEVEL):
            raise _other_words(grant, "the workspace")
        field = next((name for name, what in _PRINCIPALS.items() if what == grant.principal_type), "user_name")
        entry: JSONObject = {field: grant.principal, "permission_level": level}
        self._client.call("PATCH", self._workspace_path(kind, id), body={"access_control_list": [entry]})

    def _workspace_path(self, kind: Kind, id: str) -> str:
        if kind is Kind.EXPERIMENT:
            return f"/api/2.0/permissions/experiments/{quote(id, safe='')}"
        answer = self._client.call("GET", _MODEL, params={"name": id})
        model_id = text(member(answer, "registered_model_databricks").get("id"))
        return f"/api/2.0/permissions/registered-models/{quote(model_id, safe='')}"

    def _in_unity(self, name: str) -> Iterator[Grant]:
        token = ""
        while True:
            params = {"page_token": token} if token else None
            answer = self._client.call("GET", _unity_path(name), params=params)
            for entry in objects(answer.get("privilege_assignments")):
                words = entry.get("privileges")
                privileges = tuple(str(word) for word in words) if isinstance(words, list) else ()
                if privileges:
                    yield Grant(principal=text(entry.get("principal")), privileges=privileges)
            token = text(answer.get("next_page_token"))
            if not token:
                return


def _direct(entries: Iterable[JSONObject]) -> Iterator[Grant]:
    for entry in entries:
        levels = tuple(
            text(level.get("permission_level"))
            for level in objects(entry.get("all_permissions"))
            if not level.get("inherited")
        )
        field = next((name for name in _PRINCIPALS if entry.get(name)), None)
        if levels and field is not None:
            yield Grant(principal=text(entry.get(field)), principal_type=_PRINCIPALS[field], privileges=levels)


def _unity_path(name: str) -> str:
    # A registered model is a function to Unity Catalog.
    return f"/api/2.1/unity-catalog/permissions/function/{quote(name, safe='')}"


def _other_words(grant: Grant, what: str) -> UsageError:
    return UsageError(
        f"{grant.principal} had {', '.join(grant.privileges)}, which {what} does not know: grant what is meant.",
        code="unsupported",
    )
