"""Signatures of models at a server: read, set, and the versions that have none."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from mlflow_archive.errors import ConflictError, MlflowArchiveError, NotAuthorisedError, UsageError
from mlflow_archive.operations.ends import AS_THE_SERVER_SAYS, ArtifactPlaces, server
from mlflow_archive.spec.canonical import JSONObject

if TYPE_CHECKING:
    from mlflow_archive.tracking.artifact_contract import ArtifactAccess
    from mlflow_archive.tracking.client import ServerClient

_VERSIONS = "/api/2.0/mlflow/model-versions/search"
_PAGE = 1000


@dataclass(frozen=True, slots=True)
class UnsignedVersion:
    """A version of a registered model that has no signature.

    Attributes:
        model: The registered model's name.
        version: The number.
        run_id: The run it was made by, if the server says so.
        error: Why its ``MLmodel`` file cannot be read, so that nobody knows; "" if it was read and has none.
    """

    model: str
    version: int
    run_id: str
    error: str = ""


def get_signature(
    model_uri: str, tracking_uri: str | None, *, artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS
) -> JSONObject | None:
    """Return the signature of a model; see `mlflow_archive.api.get_model_signature`."""
    from mlflow_archive.tracking.model_files import LIMIT_BYTES, MLMODEL, locate, model_folder, needs_server
    from mlflow_archive.tracking.model_files import read_mlmodel as read
    from mlflow_archive.tracking.signatures import read_signature

    if not needs_server(model_uri):
        with model_folder(model_uri) as folder:
            return read_signature(folder.read_all(MLMODEL, limit_bytes=LIMIT_BYTES), model_uri)
    with _files(tracking_uri, artifacts, parallelism=1, read_only=True) as (client, files):
        return read_signature(read(files, locate(client, model_uri)), model_uri)


def set_signature(
    model_uri: str,
    tracking_uri: str | None,
    *,
    input_file: str,
    output_file: str | None,
    overwrite: bool,
    artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS,
) -> JSONObject:
    """Put a signature, inferred from samples, into a model; see `mlflow_archive.api.set_model_signature`."""
    from mlflow_archive.tracking.model_files import (
        LIMIT_BYTES,
        MLMODEL,
        is_registered,
        locate,
        model_folder,
        needs_server,
        read_mlmodel,
        write_mlmodel,
    )
    from mlflow_archive.tracking.signatures import infer

    if is_registered(model_uri):
        raise UsageError(
            f"The files of {model_uri} belong to the run or the logged model that it was made from: name that one, "
            "by runs:/<run>/<path> or models:/m-<id>."
        )
    signature = infer(input_file, output_file)
    if not needs_server(model_uri):
        with model_folder(model_uri) as folder:
            old = folder.read_all(MLMODEL, limit_bytes=LIMIT_BYTES)
            new = _signed(old, signature, model_uri, overwrite=overwrite)
            with folder.write(MLMODEL, size_bytes=len(new)) as writer:
                writer.write(new)
        return signature
    with _files(tracking_uri, artifacts, parallelism=1, read_only=False) as (client, files):
        place = locate(client, model_uri)
        write_mlmodel(files, place, _signed(read_mlmodel(files, place), signature, model_uri, overwrite=overwrite))
    return signature


def unsigned_versions(
    tracking_uri: str | None,
    *,
    filter_string: str | None,
    parallelism: int,
    artifacts: ArtifactPlaces = AS_THE_SERVER_SAYS,
) -> Iterator[UnsignedVersion]:
    """Yield the versions without a signature; see `mlflow_archive.api.model_versions_without_signatures`."""
    with ExitStack() as stack:
        client, files = stack.enter_context(_files(tracking_uri, artifacts, parallelism=parallelism, read_only=True))
        pool = stack.enter_context(closing(_Pool(parallelism)))
        flying: deque[Future[UnsignedVersion | None]] = deque()
        for version in _versions(client, filter_string):
            flying.append(pool.submit(client, files, version))
            if len(flying) >= 2 * parallelism:
                yield from _found(flying.popleft())
        while flying:
            yield from _found(flying.popleft())


class _Pool:
    """Threads that are not waited for longer than what they do right now."""

    def __init__(self, parallelism: int) -> None:
        self._threads = ThreadPoolExecutor(parallelism, thread_name_prefix="signatures")

    def submit(
        self, client: ServerClient, files: ArtifactAccess, version: JSONObject
    ) -> Future[UnsignedVersion | None]:
        return self._threads.submit(_check, client, files, version)

    def close(self) -> None:
        self._threads.shutdown(wait=True, cancel_futures=True)


def _found(future: Future[UnsignedVersion | None]) -> Iterator[UnsignedVersion]:
    version = future.result()
    if version is not None:
        yield version


def _check(client: ServerClient, files: ArtifactAccess, version: JSONObject) -> UnsignedVersion | None:
    from mlflow_archive.tracking.model_files import read_mlmodel, version_place
    from mlflow_archive.tracking.signatures import read_signature

    name, number = str(version.get("name")), int(str(version.get("version")))
    error = ""
    try:
        if read_signature(read_mlmodel(files, version_place(client, version)), f"models:/{name}/{number}"):
            return None
    except NotAuthorisedError as refused:
        if not refused.forbidden:
            raise
        error = str(refused)
    except MlflowArchiveError as failed:
        error = str(failed)
    return UnsignedVersion(name, number, str(version.get("run_id") or ""), " ".join(error.split()))


def _versions(client: ServerClient, filter_string: str | None) -> Iterator[JSONObject]:
    from mlflow_archive.tracking.paging import each_once, objects, pages, text

    request: JSONObject = {"max_results": _PAGE, "order_by": ["name ASC", "version_number DESC"]}
    if filter_string:
        request["filter"] = filter_string

    def walk() -> Iterator[list[JSONObject]]:
        for page in pages(client, "GET", _VERSIONS, request):
            yield objects(page.get("model_versions"))

    return each_once(walk, lambda row: f"{text(row.get('name'))}/{text(row.get('version'))}")


def _signed(mlmodel: bytes, signature: JSONObject, model_uri: str, *, overwrite: bool) -> bytes:
    from mlflow_archive.tracking.signatures import read_signature, with_signature

    if read_signature(mlmodel, model_uri) is not None and not overwrite:
        raise ConflictError(f"{model_uri} has a signature already; choose --overwrite-signature to replace it.")
    return with_signature(mlmodel, signature, model_uri)


@contextmanager
def _files(
    tracking_uri: str | None, artifacts: ArtifactPlaces, *, parallelism: int, read_only: bool
) -> Iterator[tuple[ServerClient, ArtifactAccess]]:
    from mlflow_archive.tracking.artifacts import open_artifacts
    from mlflow_archive.tracking.databricks.attaching import files_at

    with ExitStack() as stack:
        client = stack.enter_context(server(tracking_uri, parallelism=parallelism, read_only=read_only))
        found = open_artifacts(client, roots=artifacts.roots or {}, storage_options=artifacts.storage_options)
        yield client, stack.enter_context(closing(files_at(client, found)))
