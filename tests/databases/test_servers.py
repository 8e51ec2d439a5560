"""MLflow serves the databases of the suite."""

from __future__ import annotations

import json
import urllib.request

import pytest
from sqlalchemy import create_engine, inspect, text

from tests.databases.fixtures import KINDS
from tests.servers import with_driver

NAME = "Grüße, 世界 🌍"


def looked_up(uri, statement):
    """Return the rows of an answer, and the names of all tables."""
    engine = create_engine(with_driver(uri))
    try:
        with engine.connect() as connection:
            return [tuple(row) for row in connection.execute(text(statement))], set(inspect(engine).get_table_names())
    finally:
        engine.dispose()


@pytest.mark.server
@pytest.mark.parametrize("kind", KINDS)
def test_a_server_keeps_its_objects_in_the_database_it_is_given(kind, new_mlflow_database, start_server):
    uri, untouched = new_mlflow_database(kind), new_mlflow_database(kind)
    server = start_server(backend_uri=uri)
    body = json.dumps({"name": NAME}).encode()
    url = f"{server.uri}/api/2.0/mlflow/experiments/create"
    request = urllib.request.Request(url, data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=60) as answer:
        made = int(json.load(answer)["experiment_id"])
    experiments = "SELECT experiment_id, name, artifact_location FROM experiments ORDER BY experiment_id"
    default = (0, "Default", "mlflow-artifacts:/0")
    found, tables = looked_up(uri, experiments)
    assert found == [default, (made, NAME, f"mlflow-artifacts:/{made}")]
    assert {"alembic_version", "runs", "metrics", "model_versions"} <= tables
    assert looked_up(untouched, experiments) == ([default], tables)
    assert not server.database.exists()
