"""Registered models and prompts: rows of one registry, told apart by a tag.

`registered-models/search` is asked without a filter: newer servers leave prompts out of it, and older ones know no
prompts. Prompts are asked for by their tag (MLflow 2.21 and later). Versions are asked for model by model.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from itertools import pairwise
from typing import cast

from mlflow_archive.errors import MlflowArchiveError, NotFoundError, UsageError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.prompt import PromptRecord
from mlflow_archive.spec.records.registered_model import ModelVersion, RegisteredModelRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Blob, Content, Item, ObjectKey, narrowed
from mlflow_archive.tracking.artifact_contract import ArtifactOwner
from mlflow_archive.tracking.model_files import version_place
from mlflow_archive.tracking.paging import each_once, integer, mapping, objects, pages, text, without
from mlflow_archive.tracking.rewriting import NO_PLACE
from mlflow_archive.tracking.sources.context import ARTIFACTS, Reading, lost

_MODELS = "/api/2.0/mlflow/registered-models/search"
_VERSIONS = "/api/2.0/mlflow/model-versions"
_PAGE = 200
_VERSION_PAGE = 1000
_IS_PROMPT = "mlflow.prompt.is_prompt"
_PROMPTS_ONLY = f"tags.`{_IS_PROMPT}` = 'true'"


def read(reading: Reading, workspace: str | None, selection: Selection) -> Iterator[Item | Loss]:
    """List the wanted registered models."""
    if selection.models == ():
        return
    for row in _rows(reading, workspace, ""):
        name = text(row.get("name"))
        if not _is_prompt(row) and selection.wants_model(name):
            key = ObjectKey(Kind.REGISTERED_MODEL, name, None, workspace, name)
            yield Item(key, partial(_load_model, reading, key, row, selection))


def read_prompts(reading: Reading, workspace: str | None, selection: Selection) -> Iterator[Item | Loss]:
    """List the wanted prompts."""
    if selection.prompts == ():
        return
    for row in _rows(reading, workspace, _PROMPTS_ONLY):
        name = text(row.get("name"))
        if _is_prompt(row) and selection.wants_prompt(name):
            key = ObjectKey(Kind.PROMPT, name, None, workspace, name)
            yield Item(key, partial(_load_prompt, reading, key, row, selection))


def _rows(reading: Reading, workspace: str | None, wish: str) -> Iterator[JSONObject]:
    request: JSONObject = {"max_results": _PAGE, **({"filter": wish} if wish else {})}

    def walk() -> Iterator[list[JSONObject]]:
        for page in pages(reading.client, "GET", _MODELS, request, workspace=workspace):
            yield objects(page.get("registered_models"))

    return each_once(walk, lambda row: text(row.get("name")), steady=reading.steady)


def _load_prompt(reading: Reading, key: ObjectKey, row: JSONObject, selection: Selection) -> Content:
    versions = _versions(reading, key, row, _PROMPTS_ONLY)
    return narrowed(Content(PromptRecord.from_json(_record(row, versions), "the server's answer")), key, selection)


def _load_model(reading: Reading, key: ObjectKey, row: JSONObject, selection: Selection) -> Content:
    versions = _versions(reading, key, row, "")
    everything = RegisteredModelRecord.from_json(_record(row, versions), "the server's answer")
    content = narrowed(Content(everything), key, selection)
    record = cast("RegisteredModelRecord", content.record)
    placed = tuple(_with_location(reading, key, version) for version in record.versions)
    record = record.model_copy(update={"versions": placed})
    if not selection.wants_files(Kind.REGISTERED_MODEL):
        return replace(content, record=record)
    return replace(content, record=record, blobs=partial(_blobs, reading, key, record, selection))


def _record(row: JSONObject, versions: list[JSONObject]) -> JSONObject:
    aliases: JSONObject = {
        text(alias.get("alias")): integer(alias.get("version")) for alias in objects(row.get("aliases"))
    }
    return {
        **without(row, "latest_versions"),
        "tags": {**mapping(row.get("tags"))},
        "aliases": aliases,
        "versions": [_version(version) for version in versions],
    }


def _version(version: JSONObject) -> JSONValue:
    # The name is the model's; aliases are kept with the model, and a search leaves them empty.
    return {
        **without(version, "name", "aliases"),
        "version": integer(version.get("version")),
        "tags": {**mapping(version.get("tags"))},
    }


def _versions(reading: Reading, key: ObjectKey, row: JSONObject, wish: str) -> list[JSONObject]:
    """Return all versions, ascending.

    Those that the model itself names and the search does not show (a prompt version without the prompt's tag) are
    asked for one by one.
    """
    clauses = [f"name = {_quoted(key.id)}", *([wish] if wish else [])]
    request: JSONObject = {"max_results": _VERSION_PAGE, "filter": " and ".join(clauses)}

    def walk() -> Iterator[list[JSONObject]]:
        for page in pages(reading.client, "GET", f"{_VERSIONS}/search", request, workspace=key.workspace):
            yield objects(page.get("model_versions"))

    found = {
        integer(version.get("version")) or 0: version
        for version in each_once(walk, lambda version: text(version.get("version")), steady=reading.steady)
        # Some databases compare names without regard to case.
        if version.get("name") == key.id
    }
    named = {integer(version.get("version")) or 0 for version in objects(row.get("latest_versions"))}
    named |= {integer(alias.get("version")) or 0 for alias in objects(row.get("aliases"))}
    if named - found.keys():
        for number in sorted(set(range(1, max(named) + 1)) - found.keys()):
            version = _one_version(reading, key, number)
            if version is not None:
                found[number] = version
    return [found[number] for number in sorted(found)]


def _one_version(reading: Reading, key: ObjectKey, number: int) -> JSONObject | None:
    params = {"name": key.id, "version": str(number)}
    try:
        answer = reading.client.call("GET", f"{_VERSIONS}/get", params=params, workspace=key.workspace)
    except NotFoundError:
        # A deleted number leaves a gap.
        return None
    version = answer.get("model_version")
    return version if isinstance(version, dict) else None


def _with_location(reading: Reading, key: ObjectKey, version: ModelVersion) -> ModelVersion:
    if getattr(reading.client, "search_tells_locations", False):
        return version
    params = {"name": key.id, "version": str(version.version)}
    try:
        answer = reading.client.call("GET", f"{_VERSIONS}/get-download-uri", params=params, workspace=key.workspace)
    except (NotFoundError, UsageError):
        # A version that is not ready, or whose model is gone, has no place of its own.
        return version
    location = text(answer.get("artifact_uri"))
    return version.model_copy(update={"storage_location": location}) if location else version


def _blobs(
    reading: Reading, key: ObjectKey, record: RegisteredModelRecord, selection: Selection
) -> Iterator[Blob | Loss]:
    """Yield the files of versions: of those that lie outside of every run and logged model, or of all if so wished."""
    for version in record.versions:
        role = f"versions/{version.version}/{ARTIFACTS}"
        if not version.storage_location:
            continue
        if not _is_elsewhere(version):
            owner = ArtifactOwner(Kind.REGISTERED_MODEL, key.id, version.storage_location, key.workspace)
            yield from reading.blobs(key, owner, role=role)
        elif selection.version_files and not version.storage_location.startswith(NO_PLACE):
            yield from _copied(reading, key, version, role)


def _copied(reading: Reading, key: ObjectKey, version: ModelVersion, role: str) -> Iterator[Blob | Loss]:
    """Yield the files of a version that lie in a run or a logged model."""
    row: JSONObject = {"name": key.id, "version": version.version, "run_id": version.run_id or ""}
    try:
        place = version_place(reading.client, {**row, "model_id": version.model_id or ""})
    except MlflowArchiveError as error:
        yield lost(key, error, path=role)
        return
    below = f"{place.path}/" if place.path else ""
    for blob in reading.blobs(key, replace(place.owner, workspace=key.workspace), role=role):
        if isinstance(blob, Loss):
            yield blob
        elif blob.name.startswith(below):
            yield replace(blob, name=blob.name.removeprefix(below))
        elif blob.name == place.path:
            # The version was made of a single file.
            yield replace(blob, name=blob.name.rpartition("/")[2])


def _is_elsewhere(version: ModelVersion) -> bool:
    # A version with no place was restored without its files, and the loss was told then.
    if (version.storage_location or "").startswith(("runs:", "models:", NO_PLACE)):
        return True
    places = (version.storage_location or "").split("/")
    if any(place.startswith("m-") and len(place) == 34 for place in places):
        return True
    # <experiment>/<run>/artifacts: the version may have been copied from a model of another run than its own. The root
    # above may be called artifacts as well.
    return any(len(owner) == 32 and folder == ARTIFACTS for owner, folder in pairwise(places))


def _is_prompt(row: JSONObject) -> bool:
    return mapping(row.get("tags")).get(_IS_PROMPT, "").lower() == "true"


def _quoted(name: str) -> str:
    return f"'{name}'" if "'" not in name else f'"{name}"'
