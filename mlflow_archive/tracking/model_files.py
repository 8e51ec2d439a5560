"""The ``MLmodel`` file of a model, wherever a model URI leads: found, read, and written back.

A model URI is ``runs:/<run>/<path>``, ``models:/<name>/<version>``, ``models:/<name>/<stage>``,
``models:/<name>/latest``, ``models:/<name>@<alias>``, ``models:/m-<id>``, an address of the server's artifact proxy, or
the folder itself: a path of this machine or a URL that `mlflow_archive.storage.opening.open_store` knows, which needs
no server.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from urllib.parse import unquote

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.store import Store
from mlflow_archive.tracking.artifact_contract import ArtifactAccess, ArtifactOwner
from mlflow_archive.tracking.client import ServerClient
from mlflow_archive.tracking.paging import member, objects, text
from mlflow_archive.tracking.rewriting import owner_in

MLMODEL = "MLmodel"
#: A description of a model is a page of text; what is longer is something else.
LIMIT_BYTES = 16 << 20

_REST = "/api/2.0/mlflow/"
_LOGGED_MODEL = re.compile(r"models:/+(m-[0-9a-f]{32})/?")
_REGISTERED = re.compile(r"models:/+(?P<name>[^/@]+)(?:/(?P<version>[^/@]+)|@(?P<alias>[^/@]+))/?")
_RUN = re.compile(r"runs:/+(?P<run>[^/]+)(?P<path>(?:/.*)?)")
_BY_SERVER = re.compile(r"(models|runs|mlflow-artifacts):|https?://.*/api/2\.0/mlflow-artifacts/", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ModelPlace:
    """A model's folder: in the files of an object of the server."""

    owner: ArtifactOwner
    path: str

    @property
    def mlmodel(self) -> str:
        """The name of the description among the owner's files."""
        return f"{self.path}/{MLMODEL}" if self.path else MLMODEL


def needs_server(model_uri: str) -> bool:
    """Tell whether only a server knows where a model URI leads."""
    return _BY_SERVER.match(model_uri) is not None


def is_registered(model_uri: str) -> bool:
    """Tell whether a URI names a version of a registered model."""
    return model_uri.startswith("models:") and _LOGGED_MODEL.fullmatch(model_uri) is None


@contextmanager
def model_folder(model_uri: str) -> Iterator[Store]:
    """Open a model's folder that needs no server."""
    with closing(open_store(model_uri, raw_keys=True)) as store:
        yield store


def locate(client: ServerClient, model_uri: str) -> ModelPlace:
    """Return where a model is that the server knows; asks the server only.

    Raises:
        NotFoundError: There is no such run, model or version, or no model of that name in the run.
        UsageError: The URI is none of a model.
    """
    if logged := _LOGGED_MODEL.fullmatch(model_uri):
        return ModelPlace(_logged_model(client, logged[1]), "")
    if model_uri.startswith("models:"):
        match = _REGISTERED.fullmatch(model_uri)
        if match is None:
            raise UsageError(f"{model_uri!r} names no model: write models:/name/version or models:/name@alias.")
        name = unquote(match["name"])
        return version_place(client, _version(client, name, match["version"], match["alias"]))
    if match := _RUN.fullmatch(model_uri):
        return _in_run(client, match["run"], match["path"].strip("/"))
    if not needs_server(model_uri):
        raise UsageError(f"{model_uri!r} is not a URI that the server knows a model by.")
    return ModelPlace(ArtifactOwner(Kind.RUN, "", model_uri), "")


def version_place(client: ServerClient, version: JSONObject) -> ModelPlace:
    """Return where the files of a version of a registered model are.

    Args:
        client: The server.
        version: The version as the server tells it.
    """
    name, number = text(version.get("name")), text(version.get("version"))
    params = {"name": name, "version": number}
    location = text(client.call("GET", f"{_REST}model-versions/get-download-uri", params=params).get("artifact_uri"))
    if (_LOGGED_MODEL.fullmatch(location) or _RUN.fullmatch(location)) and location:
        return locate(client, location)
    if needs_server(location) and not location.startswith("models:"):
        return ModelPlace(ArtifactOwner(Kind.REGISTERED_MODEL, name, location), "")
    # The server's own disk is reached by the id of the run or the logged model the files belong to.
    for owner_id in dict.fromkeys((owner_in(location), text(version.get("model_id")), text(version.get("run_id")))):
        if not owner_id:
            continue
        owner = (_logged_model if owner_id.startswith("m-") else _run)(client, owner_id)
        if f"{location}/".startswith(owner.uri.rstrip("/") + "/"):
            return ModelPlace(owner, location.removeprefix(owner.uri.rstrip("/")).strip("/"))
    return ModelPlace(ArtifactOwner(Kind.REGISTERED_MODEL, name, location), "")


def read_mlmodel(files: ArtifactAccess, place: ModelPlace) -> bytes:
    """Return the description of a model.

    Raises:
        NotFoundError: There is none.
        UsageError: It is too long to be one.
    """
    content = bytearray()
    with files.open(place.owner, place.mlmodel) as chunks:
        for chunk in chunks:
            content += chunk
            if len(content) > LIMIT_BYTES:
                raise UsageError(f"{place.mlmodel} of {place.owner.id or place.owner.uri} is too long for what it is.")
    return bytes(content)


def write_mlmodel(files: ArtifactAccess, place: ModelPlace, data: bytes) -> None:
    """Put a description in the place of the one that is there."""
    files.write(place.owner, place.mlmodel, iter([data]), len(data))


def _run(client: ServerClient, run_id: str) -> ArtifactOwner:
    answer = client.call("GET", f"{_REST}runs/get", params={"run_id": run_id})
    return ArtifactOwner(Kind.RUN, run_id, text(member(member(answer, "run"), "info").get("artifact_uri")))


def _logged_model(client: ServerClient, model_id: str) -> ArtifactOwner:
    answer = client.call("GET", f"{_REST}logged-models/{model_id}")
    uri = text(member(member(answer, "model"), "info").get("artifact_uri"))
    return ArtifactOwner(Kind.LOGGED_MODEL, model_id, uri)


def _in_run(client: ServerClient, run_id: str, path: str) -> ModelPlace:
    """Return a model of a run: a logged model that the run made under that name, else a folder of its files."""
    answer = client.call("GET", f"{_REST}runs/get", params={"run_id": run_id})
    run = member(answer, "run")
    for output in objects(member(run, "outputs").get("model_outputs")):
        model = client.call("GET", f"{_REST}logged-models/{text(output.get('model_id'))}")
        info = member(member(model, "model"), "info")
        if path and text(info.get("name")) == path:
            owner = ArtifactOwner(Kind.LOGGED_MODEL, text(info.get("model_id")), text(info.get("artifact_uri")))
            return ModelPlace(owner, "")
    return ModelPlace(ArtifactOwner(Kind.RUN, run_id, text(member(run, "info").get("artifact_uri"))), path)


def _version(client: ServerClient, name: str, version: str | None, alias: str | None) -> JSONObject:
    if alias is not None:
        params = {"name": name, "alias": alias}
        return member(client.call("GET", f"{_REST}registered-models/alias", params=params), "model_version")
    if version is not None and version.isdigit():
        params = {"name": name, "version": version}
        return member(client.call("GET", f"{_REST}model-versions/get", params=params), "model_version")
    answer = client.call("GET", f"{_REST}registered-models/get", params={"name": name})
    newest = objects(member(answer, "registered_model").get("latest_versions"))
    wanted = (version or "").lower()
    found = [each for each in newest if wanted in ("latest", text(each.get("current_stage")).lower())]
    if not found:
        raise NotFoundError(f"The registered model {name!r} has no version in the stage {version!r}.")
    return max(found, key=lambda each: int(text(each.get("version"))))
