"""SQL beside the API on every database: workspaces, and in each the oddities of registries, scorers and datasets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import pytest

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.artifacts import open_artifacts
from mlflow_archive.tracking.connecting import connect
from mlflow_archive.tracking.database.client import DatabaseClient
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.sources.source import MlflowSource
from tests.conftest import StartServer
from tests.databases.fixtures import KINDS
from tests.tracking.database.test_same_as_api import read

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

WORKSPACES = (None, "blue")
#: Names that tempt a filter, or a database that compares without regard to case, accents or blanks at the end.
NAMES = ("it's", 'say "cheese"', "100%_a", "tail ", "Straße", "name = 'x' and 1 = 1")
GONE = "gateway:/gone"
JUDGES = {"by gateway": "gateway:/chat-here", "by what is gone": GONE, "älter": "openai:/gpt-4"}
COMPARED = (Kind.WORKSPACE, Kind.REGISTERED_MODEL, Kind.PROMPT, Kind.EVALUATION_DATASET, Kind.WEBHOOK)


@dataclass
class Ends:
    """The same server over HTTP and by SQL."""

    api: MlflowSource
    sql: MlflowSource


class Filling:
    """Fills one workspace of a server."""

    def __init__(self, uri: str, workspace: str | None) -> None:
        self._client = connect(uri, read_only=False)
        self._workspace = workspace
        self.name = workspace or "default"

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self._client.call("POST", f"/api/{path}", body=body, workspace=self._workspace)
        return dict(answer)

    def delete(self, path: str, **body: Any) -> None:
        self._client.call("DELETE", f"/api/{path}", body=body, workspace=self._workspace)

    def close(self) -> None:
        self._client.close()

    def fill(self) -> None:
        self.registry()
        self.prompts()
        self.scorers()
        self.datasets()
        events = [{"entity": "PROMPT_TAG", "action": "SET"}, {"entity": "MODEL_VERSION", "action": "CREATED"}]
        hook = {"name": f"of-{self.name}", "url": "https://127.0.0.1:9/hook", "events": events, "secret": "not one"}
        self.post("2.0/mlflow/webhooks", **hook, description="", status="DISABLED")
        gone = self.post("2.0/mlflow/webhooks", **hook)["webhook"]["webhook_id"]
        self.delete(f"2.0/mlflow/webhooks/{gone}")

    def registry(self) -> None:
        for number, name in enumerate(NAMES):
            tags = [{"key": "K", "value": ""}, {"key": "k.2", "value": f"it's {self.name}"}]
            self.post("2.0/mlflow/registered-models/create", name=name, tags=tags, description="" if number else name)
            for source in ("s3://b/1", "s3://b/2", "s3://b/3"):
                version = {"name": name, "source": source, "description": "", "tags": tags}
                self.post("2.0/mlflow/model-versions/create", **version)
            self.delete("2.0/mlflow/model-versions/delete", name=name, version=str(1 + number % 3))
        self.post("2.0/mlflow/registered-models/alias", name="it's", alias="Best", version="2")
        self.post("2.0/mlflow/registered-models/create", name="all gone")
        self.post("2.0/mlflow/model-versions/create", name="all gone", source="s3://b/1")
        self.delete("2.0/mlflow/model-versions/delete", name="all gone", version="1")

    def prompts(self) -> None:
        """A prompt whose newest version lacks the tag of prompts: a search of the server does not show it."""
        tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}, {"key": "mlflow.prompt.text", "value": "Hi"}]
        self.post("2.0/mlflow/registered-models/create", name="greeting", tags=tags[:1])
        for source, chosen in (("dummy-source", tags), ("dummy-source", tags), ("s3://b/1", tags[1:])):
            self.post("2.0/mlflow/model-versions/create", name="greeting", source=source, tags=chosen)
        self.delete("2.0/mlflow/model-versions/delete", name="greeting", version="1")
        self.post("2.0/mlflow/registered-models/alias", name="greeting", alias="now", version="2")

    def endpoint(self, name: str) -> str:
        secret = {"secret_name": name, "secret_value": {"api_key": "sk-not-a-key"}, "provider": "openai"}
        id = self.post("3.0/mlflow/gateway/secrets/create", **secret)["secret"]["secret_id"]
        model = {"name": name, "secret_id": id, "provider": "openai", "model_name": "gpt-4"}
        made = self.post("3.0/mlflow/gateway/model-definitions/create", **model)["model_definition"]
        configs = [{"model_definition_id": made["model_definition_id"], "linkage_type": "PRIMARY", "weight": 1.0}]
        endpoint = self.post("3.0/mlflow/gateway/endpoints/create", name=name, model_configs=configs)["endpoint"]
        return str(endpoint["endpoint_id"])

    def scorers(self) -> None:
        """Scorers that use an endpoint, one that is gone, and none; some of a deleted experiment."""
        self.endpoint("chat-here")
        gone = self.endpoint("gone")
        for experiment in ("active", "deleted"):
            id = self.post("2.0/mlflow/experiments/create", name=experiment)["experiment_id"]
            for name, model in JUDGES.items():
                for number in (1, 2):
                    judge = {"instructions_judge_pydantic_data": {"model": model, "instructions": f"ö {number}"}}
                    written = json.dumps({"name": name, **judge})
                    self.post("3.0/mlflow/scorers/register", experiment_id=id, name=name, serialized_scorer=written)
        self.post("2.0/mlflow/experiments/delete", experiment_id=id)
        self.delete("3.0/mlflow/gateway/endpoints/delete", endpoint_id=gone)

    def datasets(self) -> None:
        experiment = self.post("2.0/mlflow/experiments/create", name="of datasets")["experiment_id"]
        records: list[dict[str, Any]] = [
            {"inputs": {"b": 1, "a": [1.5, None, True, {"ö": "\u0001"}], "big": 2**60 + 1}},
            {"inputs": {"q": 1}, "outputs": {"x": [0.1]}, "expectations": {}, "tags": {}},
            {"inputs": {"q": 2}, "outputs": {}, "tags": {"mlflow.user": "ada"}},
            {"inputs": {"q": 3}, "source": {"source_type": "HUMAN", "source_data": {}}},
            {"inputs": {"q": 4}, "source": {"source_type": "TRACE", "source_data": {"trace_id": "tr-1"}}},
            {"inputs": {"q": 5}, "source": {"source_type": "DOCUMENT", "source_data": {"doc_uri": "s3://b/d"}}},
        ]
        # What comes out need not be an object, but it is in all records of a dataset or in none.
        plain = [{"inputs": {"q": number}, "outputs": output} for number, output in enumerate(("a text", 0, [False]))]
        for name, rows in (("questions", records), ("plain", plain)):
            tags = json.dumps({"K": "", "k.2": "ö"})
            dataset = {"name": f"{name} of {self.name}", "experiment_ids": [experiment], "tags": tags}
            made = self.post("3.0/mlflow/datasets/create", **dataset)["dataset"]
            self.post(f"3.0/mlflow/datasets/{made['dataset_id']}/records", records=json.dumps(rows))


@pytest.fixture(scope="module", params=KINDS)
def ends(
    request: pytest.FixtureRequest, start_module_server: StartServer, new_mlflow_database: Callable[[str], str]
) -> Iterator[Ends]:
    uri = new_mlflow_database(request.param)
    server = start_module_server(backend_uri=uri, options=("--enable-workspaces",))
    for workspace in WORKSPACES:
        with closing(Filling(server.uri, workspace)) as filling:
            filling.fill()
            if workspace is None:
                filling.post("3.0/mlflow/workspaces", name=WORKSPACES[1], description="")
    by_http = connect(server.uri, read_only=True)
    by_sql = DatabaseClient(Snapshot.open(uri, parallelism=2))
    both = Ends(*(MlflowSource(client, open_artifacts(client, roots={})) for client in (by_http, by_sql)))
    yield both
    both.api.close()
    both.sql.close()
    server.stop()


@pytest.mark.parametrize("kind", COMPARED)
def test_every_workspace_is_read_as_its_server_tells_it(ends, kind):
    api, sql = (read(end, kind) for end in (ends.api, ends.sql))
    assert {key.workspace for key in api} == ({None} if kind is Kind.WORKSPACE else {*WORKSPACES})
    assert sql == api


def test_scorers_are_those_of_the_server_and_those_it_refuses_to_tell(ends):
    api, sql = (read(end, Kind.SCORER) for end in (ends.api, ends.sql))
    assert sorted((key.workspace or "", key.id) for key in api) == [
        (workspace or "", name) for workspace in WORKSPACES for name in JUDGES
    ]
    told = [json.loads(version["serialized_scorer"]) for key in api for version in api[key].record["versions"]]
    assert {judge["instructions_judge_pydantic_data"]["model"] for judge in told} == {*JUDGES.values(), None} - {GONE}
    assert {key: seen for key, seen in sql.items() if key in api} == api
    assert sorted(key.id for key in sql.keys() - api.keys()) == sorted([*JUDGES] * len(WORKSPACES))
    assert not any("refuses" in note for note in ends.sql.notes())
