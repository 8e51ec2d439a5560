"""Registered models with their versions: one document each, in the order of nobody's numbers.

The files of a version are those of its run or logged model. Only where neither is in the archive, the registry's own
copy, which an export may have kept in ``version_models``, stands for them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from mlflow_archive.errors import IntegrityError, MlflowArchiveError
from mlflow_archive.predecessor.detecting import LOGGED_MODEL, RUN, VERSION
from mlflow_archive.predecessor.permissions import direct
from mlflow_archive.predecessor.places import Place, below
from mlflow_archive.predecessor.strays import MODEL_ID
from mlflow_archive.predecessor.tree import ARTIFACTS, Tree
from mlflow_archive.predecessor.values import first, integer, member, objects, plain, tags, text, texts, without_empty
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.registered_model import RegisteredModelRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Blob, Content, Item, ObjectKey

#: Where an export of models, and one of a single version, keep the registry's own copies.
_VERSION_MODELS = "version_models"
_VERSION_MODEL = "version_model"
#: The run of an exported version.
_RUN = "run/run.json"
#: What MLflow's client says of a version and its server does not, or says of the model or the logged model.
_ELSEWHERE = ("name", "aliases", "tags", "params", "metrics", "workspace")


def read(
    tree: Tree, places: Iterable[Place], selection: Selection, *, has_run: Callable[[str], bool]
) -> Iterator[Item | Loss]:
    """List the registered models.

    Args:
        tree: The archive.
        places: Their documents.
        selection: What is wanted.
        has_run: Tells whether the archive has a run, anywhere.
    """
    for place in places:
        name = place.id
        if not name:
            try:
                name = _name(tree, place)
            except MlflowArchiveError as error:
                yield ObjectKey(Kind.REGISTERED_MODEL, "").lost(error.code, str(error), retryable=error.retryable)
                continue
        key = ObjectKey(Kind.REGISTERED_MODEL, name, name=name)
        yield Item(key, partial(_load, tree, key, place, selection, has_run))


def _name(tree: Tree, place: Place) -> str:
    model, version = _documents(tree, place)
    return text(model.get("name")) or text((version or {}).get("name"))


def _documents(tree: Tree, place: Place) -> tuple[JSONObject, JSONObject | None]:
    """Return the model, and the version if it is an export of one."""
    alone = below(place.folder, VERSION)
    version = member(tree.document(alone).payload, "model_version") if not place.id and tree.has(alone) else None
    if version is not None and not tree.has(place.path):
        return {}, version
    return member(tree.document(place.path).payload, "registered_model"), version


def _load(tree: Tree, key: ObjectKey, place: Place, selection: Selection, has_run: Callable[[str], bool]) -> Content:
    model, alone = _documents(tree, place)
    if text(model.get("name")) not in ("", key.id):
        tree.note(
            f"{place.path} says that it is of {text(model.get('name'))!r}; its list says {key.id!r}, which counts."
        )
    rows = [alone] if alone is not None else objects(model.get("versions") or model.get("latest_versions"))
    by_number = {_number(row): row for row in rows}
    aliases = _aliases(model, rows)
    value: JSONObject = {
        **without_empty(model, "versions", "latest_versions", "aliases", "tags", "permissions"),
        "name": key.id,
        "tags": {**tags(model.get("tags"))},
        "aliases": {alias: number for alias, number in aliases.items() if number in by_number},
        "versions": [_version(by_number[number]) for number in sorted(by_number)],
        **_times(model),
        **direct(model.get("permissions")),
    }
    record = RegisteredModelRecord.from_json(value, place.path)
    # An export of one version tells the aliases of all of them, and was not to have the others.
    astray = {} if alone else {alias: number for alias, number in aliases.items() if number not in by_number}
    losses = (*_failed(tree, key, place), *_without_run(key, record, has_run), *_astray(key, astray))
    if not selection.wants_files(Kind.REGISTERED_MODEL):
        return Content(record, losses=losses)
    return Content(record, blobs=partial(_blobs, tree, key, place, record, selection), losses=losses)


def _number(row: JSONObject) -> int:
    number = integer(row.get("version"))
    if number is None or number < 1:
        raise IntegrityError(f"{str(row.get('version'))[:80]!r} is not the number of a version.")
    return number


def _version(row: JSONObject) -> JSONValue:
    location = text(row.get("_download_uri"))
    # A text is the client's word for there being no deployment job.
    no_job = ("deployment_job_state",) if isinstance(row.get("deployment_job_state"), str) else ()
    return {
        **without_empty(row, *_ELSEWHERE, *no_job),
        "version": _number(row),
        "tags": {**tags(row.get("tags"))},
        **_times(row),
        **({"storage_location": location} if location else {}),
    }


def _times(value: JSONObject) -> JSONObject:
    """Return the times as numbers; the first generations wrote them as texts."""
    times = {name: integer(value.get(name)) for name in ("creation_timestamp", "last_updated_timestamp")}
    return {name: time for name, time in times.items() if time is not None}


def _aliases(model: JSONObject, rows: list[JSONObject]) -> dict[str, int | None]:
    """Return alias -> number: the model's own list, else what the versions say."""
    named = {text(entry.get("alias")): integer(entry.get("version")) for entry in objects(model.get("aliases"))}
    return {**({} if named else {alias: _number(row) for row in rows for alias in texts(row.get("aliases"))}), **named}


def _astray(key: ObjectKey, aliases: dict[str, int | None]) -> Iterator[Loss]:
    """Yield a loss for each alias of a version that was not exported."""
    for alias, number in aliases.items():
        reason = f"The archive does not have version {number}, which the alias {alias!r} names."
        yield key.lost("not_found", reason, path=f"aliases/{alias}")


def _failed(tree: Tree, key: ObjectKey, place: Place) -> Iterator[Loss]:
    """Yield the versions that the export could not read, by its own account."""
    if not tree.has(place.path):
        return
    for failure in objects(tree.document(place.path).info.get("failed_versions")):
        version = failure.get("version")
        number = text(version.get("version") if isinstance(version, dict) else version)
        reason = first((plain(failure.get("message")), plain(failure.get("RestException"))))
        yield key.lost(
            "not_exported", f"The export could not read version {number}: {reason}", path=f"versions/{number}"
        )


def _without_run(key: ObjectKey, record: RegisteredModelRecord, has_run: Callable[[str], bool]) -> Iterator[Loss]:
    for version in record.versions:
        if version.run_id and not has_run(version.run_id):
            reason = f"The archive does not have the run {version.run_id}, of which version {version.version} was made."
            yield key.lost("not_found", reason, path=f"versions/{version.version}/run")


def _blobs(
    tree: Tree, key: ObjectKey, place: Place, record: RegisteredModelRecord, selection: Selection
) -> Iterator[Blob | Loss]:
    """Yield the registry's own copies of versions' files, where nothing else in the archive has them."""
    for version in record.versions:
        owners = (version.run_id or "", *MODEL_ID.findall(f"{version.source} {version.model_id}"))
        if not selection.version_files and any(_is_beside(tree, place, owner) for owner in owners if owner):
            continue
        role = f"versions/{version.version}/{ARTIFACTS}"
        yield from tree.blobs(key, below(place.folder, f"{_VERSION_MODELS}/{version.version}"), role)
        if tree.has(below(place.folder, VERSION)):
            yield from tree.blobs(key, below(place.folder, _VERSION_MODEL), role)


def _is_beside(tree: Tree, place: Place, owner: str) -> bool:
    """Tell whether the run or logged model stands beside the model's document, as exports put it."""
    folder = below(place.folder, owner)
    return tree.has(below(folder, RUN)) or tree.has(below(folder, LOGGED_MODEL)) or tree.has(below(place.folder, _RUN))
