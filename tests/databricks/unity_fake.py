"""Unity Catalog's models in the fake workspace: registry, files, grants.

MLflow's ``protos/databricks_uc_registry_service_pb2`` and ``store/_unity_catalog/registry/rest_store.py``: paths and
fields; listings of models and versions have neither tags nor aliases; a version is PENDING_REGISTRATION until it is
finalized, with files at ``/Models/<catalog>/<schema>/<model>/<version>`` of the Files API (MLflow's
``store/artifact/databricks_sdk_models_artifact_repo.py``); a stage is unknown.
REST reference (docs.databricks.com/api/workspace/grants): ``permissions`` gives direct privileges, PATCH takes changes;
    a registered model is a securable of the type FUNCTION.
Documentation of tags (docs.databricks.com/database-objects/tags): a key has none of ``. , - = / :``.

Assumptions: error codes; a version without files may be finalized; numbers are never used twice.
"""

from __future__ import annotations

import json
import re
import threading
import time
from typing import Any

from tests.databricks.workspace_errors import RefusedError, Reply, bad, missing, reply

_FUNCTION = "/api/2.1/unity-catalog/permissions/function/"


class UnityFake:
    """The metastore's models by their full names."""

    def __init__(self) -> None:
        self.schemas = {"main.ml", "other.prod"}
        self.models: dict[str, dict[str, Any]] = {}
        self.objects: dict[str, bytes] = {}
        self.grants: dict[str, dict[str, set[str]]] = {}
        self._lock = threading.RLock()

    def registry(self, method: str, path: str, query: dict[str, str], body: dict[str, Any]) -> Reply:
        given: dict[str, Any] = {**query, **body}
        below = path.removeprefix("/api/2.0/mlflow/unity-catalog/")
        action = getattr(self, f"_{method}_{re.sub('[^a-z]', '_', below)}".lower(), None)
        if action is None:
            raise missing(f"No API found for '{method} {path}'", "ENDPOINT_NOT_FOUND")
        with self._lock:
            return reply(200, action(given) or {})

    def permissions(self, method: str, path: str, body: dict[str, Any]) -> Reply:
        if not path.startswith(_FUNCTION):
            raise bad("Unknown securable type.")
        name = path.removeprefix(_FUNCTION)
        with self._lock:
            self._model(name)
            held = self.grants.setdefault(name, {})
            for change in body.get("changes", ()) if method == "PATCH" else ():
                held.setdefault(change["principal"], set()).update(change.get("add", ()))
            assigned = [{"principal": who, "privileges": sorted(what)} for who, what in sorted(held.items())]
            return reply(200, {"privilege_assignments": assigned})

    def files(self, method: str, path: str, query: dict[str, str], raw: bytes) -> Reply:
        kind, _, rest = path.removeprefix("/api/2.0/fs/").partition("/")
        place = "/" + rest.rstrip("/")
        if not place.startswith("/Models/"):
            raise missing("Only models are here.", "NOT_FOUND")
        with self._lock:
            if kind == "directories":
                return self._directory(place)
            if method == "PUT":
                version = self._version_at(place)
                if version["status"] != "PENDING_REGISTRATION":
                    raise RefusedError(403, "PERMISSION_DENIED", "The version is registered already.")
                self.objects[place] = raw
                return 204, b"", {}
            if place not in self.objects:
                raise missing(f"The file {place} does not exist.", "NOT_FOUND")
            headers = {"Last-Modified": "Mon, 05 Jan 2026 00:00:00 GMT"}
            if method == "HEAD":
                return 200, b"", {**headers, "Content-Length": str(len(self.objects[place]))}
            return 200, self.objects[place], headers

    def _directory(self, place: str) -> Reply:
        below = [name for name in self.objects if name.startswith(place + "/")]
        if not below:
            raise missing(f"The directory {place} does not exist.", "NOT_FOUND")
        contents = []
        for name in sorted({name[len(place) + 1 :].split("/")[0] for name in below}):
            path = f"{place}/{name}"
            is_file = path in self.objects
            entry: dict[str, Any] = {"path": path, "name": name, "is_directory": not is_file}
            contents.append({**entry, "file_size": len(self.objects[path])} if is_file else entry)
        return 200, json.dumps({"contents": contents}).encode(), {"Content-Type": "application/json"}

    def _version_at(self, place: str) -> dict[str, Any]:
        _, _, catalog, schema, model, version, _ = place.split("/", 6)
        return self._version({"name": f"{catalog}.{schema}.{model}", "version": version})

    def _model(self, name: str) -> dict[str, Any]:
        if name not in self.models:
            raise missing(f"Routine or Model '{name}' does not exist.")
        return self.models[name]

    def _version(self, given: dict[str, Any]) -> dict[str, Any]:
        versions = self._model(given["name"])["versions"]
        if str(given["version"]) not in versions:
            raise missing(f"Model version {given['version']} of {given['name']} does not exist.")
        return versions[str(given["version"])]

    def _told(self, model: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in model.items() if name not in ("versions", "last")}

    def _post_registered_models_create(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["name"].rpartition(".")[0] not in self.schemas:
            raise missing(f"Schema '{given['name'].rpartition('.')[0]}' does not exist.")
        if given["name"] in self.models:
            raise RefusedError(400, "RESOURCE_ALREADY_EXISTS", f"Routine or Model '{given['name']}' already exists.")
        _require_keys(given)
        now = int(time.time() * 1000)
        self.models[given["name"]] = {
            "tags": [],
            "aliases": [],
            "creation_timestamp": now,
            "last_updated_timestamp": now,
            **given,
            "versions": {},
            "last": 0,
        }
        return {"registered_model": self._told(self.models[given["name"]])}

    def _get_registered_models_get(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"registered_model": self._told(self._model(given["name"]))}

    def _get_registered_models_search(self, given: dict[str, Any]) -> dict[str, Any]:
        if "filter" in given:
            raise bad("Unknown field filter.")
        names = sorted(self.models)
        first = int(given.get("page_token", 0))
        rows = [self._told(self.models[name]) for name in names[first : first + 2]]
        bare = [{name: value for name, value in row.items() if name not in ("tags", "aliases")} for row in rows]
        following = {"next_page_token": str(first + 2)} if first + 2 < len(names) else {}
        return {"registered_models": bare, **following}

    def _patch_registered_models_update(self, given: dict[str, Any]) -> dict[str, Any]:
        self._model(given["name"])["description"] = given["description"]
        return {}

    def _delete_registered_models_delete(self, given: dict[str, Any]) -> None:
        if self._model(given["name"])["versions"]:
            raise bad("The model has versions.")
        del self.models[given["name"]]

    def _post_registered_models_set_tag(self, given: dict[str, Any]) -> None:
        _set_tag(self._model(given["name"]), given)

    def _delete_registered_models_delete_tag(self, given: dict[str, Any]) -> None:
        _drop_tag(self._model(given["name"]), given)

    def _post_registered_models_alias(self, given: dict[str, Any]) -> None:
        self._version(given)
        model = self._model(given["name"])
        kept = [entry for entry in model["aliases"] if entry["alias"] != given["alias"]]
        model["aliases"] = [*kept, {"alias": given["alias"], "version": str(given["version"])}]

    def _post_model_versions_create(self, given: dict[str, Any]) -> dict[str, Any]:
        model = self._model(given["name"])
        _require_keys(given)
        model["last"] += 1
        number, now = str(model["last"]), int(time.time() * 1000)
        about = {"creation_timestamp": now, "last_updated_timestamp": now, "user_id": "me@example.com", "tags": []}
        place = f"s3://metastore/models/{len(self.models)}/versions/{given['name']}-{number}"
        state = {"version": number, "status": "PENDING_REGISTRATION", "storage_location": place}
        model["versions"][number] = {**about, **given, **state}
        return {"model_version": model["versions"][number]}

    def _post_model_versions_finalize(self, given: dict[str, Any]) -> dict[str, Any]:
        self._version(given)["status"] = "READY"
        return {"model_version": self._version(given)}

    def _get_model_versions_get(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"model_version": self._version(given)}

    def _get_model_versions_search(self, given: dict[str, Any]) -> dict[str, Any]:
        match = re.fullmatch(r"name='?\s*=?\s*'(.*)'", given["filter"].replace(" ", ""))
        if match is None or "order_by" in given:
            raise bad("Only the filter name='...' is supported.")
        versions = self._model(match[1])["versions"].values()
        bare = [{name: value for name, value in each.items() if name not in ("tags", "aliases")} for each in versions]
        return {"model_versions": bare}

    def _get_model_versions_get_download_uri(self, given: dict[str, Any]) -> dict[str, Any]:
        return {"artifact_uri": self._version(given)["storage_location"]}

    def _patch_model_versions_update(self, given: dict[str, Any]) -> dict[str, Any]:
        self._version(given)["description"] = given["description"]
        return {}

    def _delete_model_versions_delete(self, given: dict[str, Any]) -> None:
        self._version(given)
        model = self._model(given["name"])
        del model["versions"][str(given["version"])]
        place = f"/Models/{given['name'].replace('.', '/')}/{given['version']}/"
        for name in [name for name in self.objects if name.startswith(place)]:
            del self.objects[name]

    def _post_model_versions_set_tag(self, given: dict[str, Any]) -> None:
        _set_tag(self._version(given), given)

    def _delete_model_versions_delete_tag(self, given: dict[str, Any]) -> None:
        _drop_tag(self._version(given), given)


def _require_keys(given: dict[str, Any]) -> None:
    for tag in given.get("tags", ()):
        if re.search(r"[.,\-=/:]", tag["key"]):
            raise bad(f"Tag key {tag['key']} contains forbidden characters.")


def _set_tag(holder: dict[str, Any], given: dict[str, Any]) -> None:
    _require_keys({"tags": [given]})
    kept = [tag for tag in holder["tags"] if tag["key"] != given["key"]]
    holder["tags"] = [*kept, {"key": given["key"], "value": given["value"]}]


def _drop_tag(holder: dict[str, Any], given: dict[str, Any]) -> None:
    holder["tags"] = [tag for tag in holder["tags"] if tag["key"] != given["key"]]
