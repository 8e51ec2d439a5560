"""The full circle: a server with everything in it, an archive, an exact restore, a server on it, and its archive.

Both archives must be the same, file by file and field by field, but for what the first one could not see.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from mlflow_archive import api
from mlflow_archive.operations.report import Report
from tests.comparison import describe
from tests.comparison.compare import compare_rows
from tests.databases.filled import NEWEST, unpack
from tests.databases.fixtures import Databases
from tests.roundtrip.documents import differing_fields
from tests.servers import QuickServers

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

_SECRET = "no answer of a server shows a secret, so that what had one has none"
#: What differs after a restore from an archive made over the API, and why.
UNSEEN = {
    "gateway_model_definition.payload.secret_id": _SECRET,
    "gateway_model_definition.payload.secret_name": _SECRET,
    "gateway_endpoint.payload.model_mappings.model_definition.secret_id": _SECRET,
    "gateway_endpoint.payload.model_mappings.model_definition.secret_name": _SECRET,
}
#: The same as MLflow's own client shows it.
UNSEEN_BY_CLIENTS = {
    "gateway_model_definition.secret_id": _SECRET,
    "gateway_model_definition.secret_name": _SECRET,
    "gateway_endpoint.model_mappings[].model_definition.secret_id": _SECRET,
    "gateway_endpoint.model_mappings[].model_definition.secret_name": _SECRET,
}
SECRETS = ("gateway-secrets", "webhook-secrets", "job-tokens", "password-hashes")


def assert_only_places_out_of_reach(report: Report) -> None:
    """Hold a report to its only excuse: files in a bucket and in a workspace that are not there."""
    others = [loss for loss in report.losses if "s3://bucket" not in loss.reason and "dbfs:/" not in loss.reason]
    assert not others, others


@dataclass(frozen=True)
class Origin:
    """A server that was: the archive that was made over its API, and what clients saw."""

    archive: Path
    shown: list[dict[str, Any]]


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[QuickServers]:
    with QuickServers(tmp_path_factory.mktemp("servers")) as quick:
        yield quick


@pytest.fixture(scope="module")
def origin(servers: QuickServers, tmp_path_factory: pytest.TempPathFactory) -> Origin:
    folder = tmp_path_factory.mktemp("origin")
    database = unpack(NEWEST, folder / "left")
    with servers.serving(f"sqlite:///{database}", database.parent / "artifacts", workspaces=True) as uri:
        assert_only_places_out_of_reach(api.backup(uri, str(folder / "archive")))
        return Origin(folder / "archive", servers.rows(uri))


@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_an_archive_made_over_the_api_comes_back_as_it_was(
    kind: str, origin: Origin, servers: QuickServers, databases: Callable[[str], Databases], tmp_path: Path
) -> None:
    target, files = databases(kind).new_database(), tmp_path / "artifacts"
    assert_only_places_out_of_reach(
        api.restore(
            str(origin.archive), target, exact=True, activate=True, artifact_roots={"mlflow-artifacts:/": str(files)}
        )
    )
    with servers.serving(target, files, workspaces=True) as uri:
        assert_only_places_out_of_reach(api.backup(uri, str(tmp_path / "again")))
        shown = servers.rows(uri)
    databases(kind).drop_database(target)

    assert differing_fields(origin.archive, tmp_path / "again") == UNSEEN.keys()
    report = api.diff(str(origin.archive), str(tmp_path / "again"))
    assert {one.left.kind for one in report.different} <= {"gateway_model_definition", "gateway_endpoint"}
    assert (report.only_left, report.only_right) == ((), ())
    differences = compare_rows(origin.shown, shown, limits=UNSEEN_BY_CLIENTS)
    assert not differences, describe(differences)


def test_an_archive_of_the_database_comes_back_with_its_secrets_too(
    origin: Origin, servers: QuickServers, tmp_path: Path
) -> None:
    # As it was: MLflow's client changes a server by looking at its label schemas.
    left, target = unpack(NEWEST, tmp_path / "left"), f"sqlite:///{tmp_path / 'mlflow.db'}"
    roots = {"mlflow-artifacts:/": str(left.parent / "artifacts")}
    api.backup(f"sqlite:///{left}", str(tmp_path / "archive"), artifact_roots=roots, secrets=SECRETS)
    files = tmp_path / "artifacts"
    api.restore(
        str(tmp_path / "archive"), target, exact=True, activate=True, artifact_roots={"mlflow-artifacts:/": str(files)}
    )
    with servers.serving(target, files, workspaces=True) as uri:
        assert_only_places_out_of_reach(api.backup(uri, str(tmp_path / "again")))
    assert differing_fields(origin.archive, tmp_path / "again") == set()
