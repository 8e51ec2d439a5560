"""Reads one server through MLflow's client: experiments, runs, logged models, registry, prompts."""

from __future__ import annotations

import hashlib
import importlib
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from mlflow import MlflowClient
from mlflow.entities import ViewType
from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

from tests.comparison.plain import Names, Plain

Row = dict[str, Any]
SOURCE_ID = "mlflow_archive.source_id"
PARENT = "mlflow_archive.source_parent_run_id"


class Server:
    """One server, read by its client."""

    def __init__(self, uri: str) -> None:
        self.uri = uri
        self.client = MlflowClient(uri)
        with urllib.request.urlopen(f"{uri}/version") as answer:
            major, minor = answer.read().decode().split(".")[:2]
        self.version = (int(major), int(minor))
        self.names = Names()
        self.plain = Plain(self.names)
        self.experiments = list(pages(self.client.search_experiments, view_type=ViewType.ALL))
        for one in self.experiments:
            self.names.add_experiment(one.experiment_id, one.name, one.artifact_location)

    def row(self, kind: str, key: tuple[str, ...], id: str, entity: Any, *, named: bool = True, **more: Any) -> Row:
        """Return the line of one object; ``more`` are further fields."""
        fields = self.plain(entity)
        tags = fields.get("tags") or fields.get("data", {}).get("tags") or {}
        if PARENT in tags:
            # A parent that is not there cannot be a parent: its id is kept in a tag of its own.
            tags.setdefault("mlflow.parentRunId", tags[PARENT])
        return {
            "kind": kind,
            "key": [str(word) for word in key],
            "id": str(id),
            "named": named,
            "source_id": tags.get(SOURCE_ID) if isinstance(tags, dict) else None,
            "fields": {**fields, **self.plain(more)},
        }

    def name(self, experiment_id: str) -> str:
        """Return the name of an experiment."""
        return self.names.experiments[experiment_id]

    def listing(self, root: str, folder: str | None) -> list[Any]:
        """Return the entries of one folder below an artifact root, their paths counted from the root."""
        return list(get_artifact_repository(self._address(root)).list_artifacts(folder))

    def file(self, uri: str) -> bytes:
        """Return the bytes of one file.

        Not through MLflow's client: it does not quote names, and cannot have a file with a ``?`` in its name.
        """
        if not uri.startswith("mlflow-artifacts:"):
            return Path(uri.removeprefix("file://")).read_bytes()
        with urllib.request.urlopen(self._address(urllib.parse.quote(uri, safe=":/"))) as answer:
            return bytes(answer.read())

    def digest(self, uri: str) -> object:
        """Return size and SHA-256 of one file."""
        data = self.file(uri)
        return [len(data), hashlib.sha256(data).hexdigest()]

    def _address(self, uri: str) -> str:
        """Return a place behind the server as an address of the server."""
        if not uri.startswith("mlflow-artifacts:"):
            return uri
        return f"{self.uri}/api/2.0/mlflow-artifacts/artifacts/{uri.removeprefix('mlflow-artifacts:').lstrip('/')}"

    @property
    def active(self) -> list[Any]:
        """The experiments that are not deleted; some calls refuse the others."""
        return [one for one in self.experiments if one.lifecycle_stage == "active"]


def pages(search: Callable[..., Any], **arguments: Any) -> Iterator[Any]:
    """Go through all pages of a search."""
    token = None
    while True:
        page = search(page_token=token, **arguments)
        yield from page
        token = page.token
        if not token:
            return


def read_server(uri: str) -> Iterator[Row]:
    """Yield the lines of everything on a server, in a fixed order."""
    server = Server(uri)
    yield from _experiments(server)
    yield from _runs(server)
    if server.version >= (3, 0):
        yield from _logged_models(server)
    yield from _registry(server)
    if server.version >= (2, 21):
        yield from _prompts(server)
        yield from importlib.import_module("tests.comparison.reading_traces").read(server)
    if server.version >= (3, 4):
        yield from importlib.import_module("tests.comparison.reading_rest").read(server)


def _experiments(server: Server) -> Iterator[Row]:
    for one in server.experiments:
        yield server.row("experiment", (one.name,), one.experiment_id, one)


def _runs(server: Server) -> Iterator[Row]:
    ids = [one.experiment_id for one in server.experiments]
    for found in pages(server.client.search_runs, experiment_ids=ids, run_view_type=ViewType.ALL, max_results=500):
        run_id = found.info.run_id
        run = server.client.get_run(run_id)
        history = {key: _history(server, run_id, key) for key in sorted(run.data.metrics)}
        files = dict(_files(server, run.info.artifact_uri))
        key = (server.name(run.info.experiment_id), run.info.run_name, run_id)
        row = server.row("run", key, run_id, run, named=False, history=history, artifacts=files)
        row["fields"].pop("artifacts_uri", None)
        for hidden in ("run_id", "run_uuid"):
            row["fields"]["info"].pop(hidden, None)
        yield row


def _history(server: Server, run_id: str, key: str) -> list[list[object]]:
    """Return all points of a metric, sorted: nothing says in which order a server returns equal steps."""
    names = ("timestamp", "step", "value", "model_id", "dataset_name", "dataset_digest")
    points = server.client.get_metric_history(run_id, key)
    rows = [[server.plain(getattr(point, name, None)) for name in names] for point in points]
    return sorted(rows, key=repr)


def _files(server: Server, root: str, folder: str | None = None) -> Iterator[tuple[str, object]]:
    """Yield path and digest of each file below an artifact root; `MLmodel` files, which name ids, as text."""
    for one in server.listing(root, folder):
        if one.is_dir:
            yield from _files(server, root, one.path)
        elif one.path.rpartition("/")[2] == "MLmodel":
            yield one.path, server.file(f"{root}/{one.path}").decode()
        else:
            yield one.path, server.digest(f"{root}/{one.path}")


def _logged_models(server: Server) -> Iterator[Row]:
    ids = [one.experiment_id for one in server.experiments]
    for found in pages(server.client.search_logged_models, experiment_ids=ids, max_results=100):
        model = server.client.get_logged_model(found.model_id)
        key = (server.name(model.experiment_id), model.name, model.model_id)
        files = dict(_files(server, model.artifact_location))
        row = server.row("logged_model", key, model.model_id, model, named=False, artifacts=files)
        for hidden in ("model_id", "model_uri"):
            row["fields"].pop(hidden, None)
        yield row


def _registry(server: Server) -> Iterator[Row]:
    for found in pages(server.client.search_registered_models, max_results=100):
        model = server.client.get_registered_model(found.name)
        yield server.row("registered_model", (model.name,), model.name, model)
        quoted = model.name.replace("'", "\\'")
        for one in pages(server.client.search_model_versions, filter_string=f"name='{quoted}'", max_results=100):
            version = server.client.get_model_version(one.name, one.version)
            key = (version.name, version.version)
            yield server.row("model_version", key, "/".join(key), version)
        for alias, number in (model.aliases or {}).items():
            version = server.client.get_model_version_by_alias(model.name, alias)
            yield server.row(
                "alias", (model.name, alias), f"{model.name}@{alias}", {"listed": number, "got": version.version}
            )


def _prompts(server: Server) -> Iterator[Row]:
    for found in pages(server.client.search_prompts, max_results=100):
        prompt = server.client.get_prompt(found.name)
        yield server.row("prompt", (prompt.name,), prompt.name, prompt)
        for one in pages(server.client.search_prompt_versions, name=prompt.name):
            version = server.client.get_prompt_version(prompt.name, str(one.version))
            key = (prompt.name, str(version.version))
            yield server.row("prompt_version", key, "/".join(key), version)
