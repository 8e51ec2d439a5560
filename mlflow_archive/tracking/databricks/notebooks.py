"""Notebook revisions of runs: stored with a run's files, and imported into a folder of a workspace.

A run made in a notebook names it and its revision by tags. That revision is stored as ``notebooks/<name>.<form>`` in
each form that is wished, and ``notebooks/manifest.json`` says what it was. A workspace takes a notebook, but not its
revisions, and no run's link to one: the link of a restored run is dead, and the tag `provenance.NOTEBOOK` names the
notebook that was imported.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import partial

from mlflow_archive.errors import MlflowArchiveError, NotFoundError, UsageError
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Blob, ObjectKey
from mlflow_archive.tracking.databricks.client import DatabricksClient
from mlflow_archive.tracking.databricks.notebook_formats import MANIFEST, NOTEBOOKS
from mlflow_archive.tracking.paging import text
from mlflow_archive.tracking.sinks.context import attempt

_ARTIFACTS = "artifacts"
_PATH, _ID, _REVISION = (f"mlflow.databricks.notebook{word}" for word in ("Path", "ID", "RevisionID"))
_SOURCE = ".source"
#: The workspace exports and imports no more than this.
_MOST_BYTES = 10 << 20
#: What a source file begins with; that of R begins as Python's.
_FIRST_LINES = {b"# Databricks": "PYTHON", b"// Databricks": "SCALA", b"-- Databricks": "SQL"}
#: What no name of a file or a notebook needs; archives are not to be trusted.
_UNSAFE = re.compile(r"[^\w.@ ()+-]")


def file_name(path: str) -> str:
    """Return what a notebook's files are called, without the ending."""
    return _UNSAFE.sub("_", path.rstrip("/").rpartition("/")[2]) or "notebook"


def export_notebook(client: DatabricksClient, path: str, revision: str, form: str) -> bytes:
    """Return a notebook as a file.

    Args:
        client: The workspace.
        path: Of the notebook in the workspace.
        revision: Its revision's id; "" is the notebook as it is now.
        form: A word of `NOTEBOOK_FORMATS`.

    Raises:
        NotFoundError: There is no such notebook, or no such revision of it.
        UsageError: The workspace refuses, or its answer cannot be read.
    """
    # A revision is asked for in the body of the GET: undocumented, and what the workspace's own pages do.
    body: JSONObject = {"path": path, "format": form}
    if revision:
        body["revision"] = {"revision_timestamp": revision}
    answer = client.call("GET", "/api/2.0/workspace/export", body=body)
    try:
        return base64.b64decode(text(answer.get("content")), validate=True)
    except ValueError:
        raise UsageError(f"The workspace's answer to the export of {path} cannot be read.", code="content") from None


class ExportedNotebooks:
    """The notebook revisions of runs of a source."""

    def __init__(self, client: DatabricksClient, formats: tuple[str, ...]) -> None:
        """Ask nothing yet; ``formats`` are words of `NOTEBOOK_FORMATS`."""
        self._client = client
        self._formats = formats

    def after(self, blobs: Callable[[], Iterator[Blob | Loss]], tags: Mapping[str, str]) -> Iterator[Blob | Loss]:
        """Yield a run's files, then its notebook; a file that the run has already under that name is the one."""
        taken = set()
        for blob in blobs():
            if isinstance(blob, Blob) and blob.name.startswith(f"{NOTEBOOKS}/"):
                taken.add(blob.name)
            yield blob
        path = tags.get(_PATH, "")
        if not path:
            return
        name = file_name(path)
        revision = tags.get(_REVISION, "")
        for form in self._formats:
            file = f"{NOTEBOOKS}/{name}.{form.lower()}"
            if file not in taken:
                yield self._blob(file, partial(export_notebook, self._client, path, revision, form))
        if MANIFEST not in taken:
            yield self._blob(MANIFEST, partial(self._manifest, path, tags))

    def _blob(self, name: str, make: Callable[[], bytes]) -> Blob:
        def opened() -> AbstractContextManager[Iterator[bytes]]:
            return _made(make)

        return Blob(_ARTIFACTS, name, None, opened)

    def _manifest(self, path: str, tags: Mapping[str, str]) -> bytes:
        language = ""
        try:
            answer = self._client.call("GET", "/api/2.0/workspace/get-status", params={"path": path})
            language = text(answer.get("language"))
        except NotFoundError:
            pass  # moved or deleted since; its revision may be there all the same
        about = {
            "path": path,
            "notebook_id": tags.get(_ID),
            "revision_id": tags.get(_REVISION),
            "language": language or None,
            "formats": list(self._formats),
        }
        return (json.dumps(about, indent=2, sort_keys=True) + "\n").encode()


class ImportedNotebooks:
    """Brings the source files of notebooks into one folder of a workspace."""

    def __init__(self, client: DatabricksClient, folder: str) -> None:
        """Ask nothing yet.

        Raises:
            UsageError: The folder is no absolute path.
        """
        if not folder.startswith("/"):
            raise UsageError(f"The folder of notebooks {folder!r} is no path of a workspace: write /Users/me/folder.")
        self._client = client
        self._folder = folder.rstrip("/")

    def bring(self, key: ObjectKey, run_id: str, blobs: Iterator[Blob | Loss]) -> Iterator[Loss]:
        """Import what is among a run's files; yield what could not be.

        Each revision is a notebook of its own, called ``<name>-<revision>``, so that no run's notebook replaces that
        of another one.
        """
        found = [
            blob
            for blob in blobs
            if isinstance(blob, Blob) and blob.role == _ARTIFACTS and blob.name.startswith(f"{NOTEBOOKS}/")
        ]
        manifest = next((blob for blob in found if blob.name == MANIFEST), None)
        sources = [blob for blob in found if blob.name.endswith(_SOURCE)]
        if found and not sources:
            reason = "A notebook is imported from the form SOURCE, in which this one was not stored."
            yield key.lost("unsupported", reason, path=NOTEBOOKS)
        for blob in sources:
            yield from attempt(key, f"{NOTEBOOKS}/import", partial(self._import, blob, manifest, run_id))

    def _import(self, blob: Blob, manifest: Blob | None, run_id: str) -> None:
        about = _about(manifest)
        source = _read(blob)
        name = _UNSAFE.sub("_", blob.name.removeprefix(f"{NOTEBOOKS}/").removesuffix(_SOURCE))
        revision = _UNSAFE.sub("_", text(about.get("revision_id")))
        path = f"{self._folder}/{name}-{revision}" if revision else f"{self._folder}/{name}"
        self._client.make_folder(self._folder)
        body: JSONObject = {
            "path": path,
            "format": "SOURCE",
            "language": text(about.get("language")) or _language(source),
            "content": base64.b64encode(source).decode("ascii"),
            "overwrite": True,
        }
        self._client.call("POST", "/api/2.0/workspace/import", body=body)
        tag: JSONObject = {"run_id": run_id, "key": provenance.NOTEBOOK, "value": path}
        self._client.call("POST", "/api/2.0/mlflow/runs/set-tag", body=tag)


@contextmanager
def _made(make: Callable[[], bytes]) -> Iterator[Iterator[bytes]]:
    yield iter((make(),))


def _read(blob: Blob) -> bytes:
    data = bytearray()
    with blob.open() as chunks:
        for chunk in chunks:
            data += chunk
            if len(data) > _MOST_BYTES:
                raise UsageError(f"{blob.name} is larger than a workspace takes a notebook to be.", code="limit")
    return bytes(data)


def _about(manifest: Blob | None) -> JSONObject:
    """Return what is known of a notebook; a manifest that cannot be read costs the name of the revision only."""
    if manifest is None:
        return {}
    try:
        value = json.loads(_read(manifest))
    except (ValueError, MlflowArchiveError):
        return {}
    return value if isinstance(value, dict) else {}


def _language(source: bytes) -> str:
    return next((language for line, language in _FIRST_LINES.items() if source.startswith(line)), "PYTHON")
