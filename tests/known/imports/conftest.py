"""Archives made of objects by hand, and one real server for each module that the commands bring them to."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mlflow_archive.cli.main import cli
from mlflow_archive.operations.backup import archive
from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import SourceInfo
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.stream import Item
from mlflow_archive.tracking.artifacts import ArtifactOwner
from tests.servers import MlflowServer
from tests.tracking.sinks.making import Target

New = Callable[..., str]
Archived = Callable[..., str]


class ItemSource:
    """A few objects in memory, as a `mlflow_archive.stream.Source`."""

    def __init__(self, items: Sequence[Item]) -> None:
        self._items = items

    def describe(self) -> SourceInfo:
        return SourceInfo(type="mlflow", uri="http://source:5000", mlflow_version="3.17.2")

    def kinds(self) -> tuple[Kind, ...]:
        return tuple(kind for kind in KIND_ORDER if any(item.key.kind is kind for item in self._items))

    def read(self, kind: Kind, selection: Selection) -> Iterator[Item | Loss]:
        return (item for item in self._items if item.key.kind is kind)

    def expected(self, kind: Kind, selection: Selection) -> int | None:
        return None

    def notes(self) -> tuple[str, ...]:
        return ()

    def close(self) -> None:
        pass


class Importer:
    """Runs commands against one server, and looks at what is there then."""

    def __init__(self, target: Target, uri: str) -> None:
        self.target = target
        self.uri = uri

    def run(self, command: str, place: str, *words: str) -> Result:
        """Run a command in this process; the result has ``exit_code``, ``stdout`` and ``stderr``."""
        arguments = [command, "--input-dir", place, "--tracking-uri", self.uri, *words]
        return CliRunner().invoke(cli, arguments)

    def done(self, command: str, place: str, *words: str) -> dict:
        """Run a command that must succeed; return its report."""
        result = self.run(command, place, "--json", *words)
        assert result.exit_code == 0, result.output
        return json.loads(result.stdout)

    def experiment(self, name: str) -> dict | None:
        """Return an experiment by its name, its tags as a mapping; None if there is none."""
        found = self.target.post("experiments/search", filter=f"name = '{name}'", max_results=2).get("experiments")
        if not found:
            return None
        return found[0] | {"tags": {tag["key"]: tag["value"] for tag in found[0].get("tags", [])}}

    def runs(self, experiment_name: str) -> dict[str, dict]:
        """Return the runs of an experiment by their names, deleted ones too."""
        experiment = self.experiment(experiment_name)
        assert experiment is not None, f"there is no experiment {experiment_name}"
        body = {"experiment_ids": [experiment["experiment_id"]], "run_view_type": "ALL", "max_results": 100}
        found = self.target.post("runs/search", **body).get("runs", [])
        return {run["info"]["run_name"]: self.target.run(run["info"]["run_id"]) for run in found}

    def file(self, kind: Kind, id: str, root: str, path: str) -> str:
        """Return the text of a file of a run or a logged model."""
        return self.target.files.read(ArtifactOwner(kind, id, root), path).decode()

    def records(self, dataset_id: str) -> list[str]:
        """Return the questions in an evaluation dataset, sorted."""
        found = self.target.get(f"/api/3.0/mlflow/datasets/{dataset_id}/records", max_results=100)
        return sorted(record["inputs"]["question"] for record in json.loads(found.get("records") or "[]"))

    def model(self, name: str) -> dict | None:
        """Return a registered model or a prompt, tags and aliases as mappings; None if there is none."""
        quoted = f"name = '{name}'"
        for prompts in ("", " AND tag.`mlflow.prompt.is_prompt` = 'true'"):
            found = self.target.get("registered-models/search", filter=quoted + prompts, max_results=2)
            for model in found.get("registered_models", []):
                tags = {tag["key"]: tag.get("value", "") for tag in model.get("tags", [])}
                aliases = {entry["alias"]: int(entry["version"]) for entry in model.get("aliases", [])}
                return model | {"tags": tags, "aliases": aliases}
        return None

    def versions(self, name: str) -> dict[int, dict]:
        """Return the versions of a registered model or a prompt by their numbers, tags as a mapping."""
        found = self.target.get("model-versions/search", filter=f"name = '{name}'", max_results=100)
        rows = found.get("model_versions", []) or self.target.get(
            "model-versions/search",
            filter=f"name = '{name}' AND tag.`mlflow.prompt.is_prompt` = 'true'",
            max_results=100,
        ).get("model_versions", [])
        return {
            int(row["version"]): row | {"tags": {tag["key"]: tag.get("value", "") for tag in row.get("tags", [])}}
            for row in rows
        }

    def logged_models(self, experiment_name: str) -> list[dict]:
        """Return the logged models of an experiment."""
        experiment = self.experiment(experiment_name)
        assert experiment is not None
        found = self.target.post("logged-models/search", experiment_ids=[experiment["experiment_id"]])
        return found.get("models", [])

    def traces(self, experiment_name: str) -> list[str]:
        """Return the ids of the traces of an experiment."""
        experiment = self.experiment(experiment_name)
        assert experiment is not None
        place = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment["experiment_id"]}}
        found = self.target.post("/api/3.0/mlflow/traces/search", locations=[place], max_results=100)
        return [trace["trace_id"] for trace in found.get("traces", [])]

    def datasets(self, name: str) -> list[dict]:
        """Return the evaluation datasets of a name."""
        found = self.target.post("/api/3.0/mlflow/datasets/search", filter_string=f"name = '{name}'")
        return found.get("datasets", [])


@pytest.fixture(scope="module")
def importer(module_server: MlflowServer) -> Iterator[Importer]:
    """The server of the module."""
    target = Target(module_server.uri)
    yield Importer(target, module_server.uri)
    target.client.close()


@pytest.fixture
def new() -> New:
    """Makes names that no other test uses."""

    def make(prefix: str = "") -> str:
        return prefix + uuid.uuid4().hex

    return make


def write_archive(place: str, *items: Item) -> str:
    """Write objects into an archive; return its place."""
    with closing(open_store(place)) as store:
        report = archive(ItemSource(items), store, Selection())
    assert not report.losses, report.losses
    return place


@pytest.fixture
def archived(tmp_path: Path) -> Archived:
    """Writes objects into an archive; returns its place."""

    def write(*items: Item, name: str = "archive", place: str = "") -> str:
        return write_archive(place or str(tmp_path / name), *items)

    return write
