"""Databases of every version as origins of exact restores, and what a restore of them must come to."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mlflow_archive import api
from tests.comparison import describe
from tests.comparison.compare import compare_rows
from tests.databases.filled import NEWEST, fill_newest, unpack
from tests.databases.fixtures import Databases
from tests.databases.rows import Tables, differences, read_tables, revision_of, without_signs_of_zeros
from tests.servers import QuickServers, with_driver

#: With nothing left out, as what was left out cannot be compared.
SECRETS = ("gateway-secrets", "webhook-secrets", "job-tokens", "password-hashes")
#: Columns that MLflow's own migrations fill with something else each time, and why.
MADE_BY_MIGRATIONS = {
    "jobs.last_update_time": "the migration to 3.17 calls off jobs under way, and notes the time of it"
}
MLFLOW_ALONE = "tests.tracking.database.exact.mlflow_alone"


@dataclass(frozen=True)
class Origin:
    """A database that was lost: its archive, and what it was.

    Attributes:
        archive: Where its archive is.
        upgraded: It was of an older MLflow.
        workspaces: It has more than the default one.
        tables: Its rows after MLflow itself upgraded it.
        shown: What the public client shows of it, behind a server.
    """

    archive: Path
    upgraded: bool
    workspaces: bool
    tables: Tables
    shown: list[dict[str, Any]]


def old_origin(version: str, folder: Path, servers: QuickServers) -> Origin:
    """Archive what the server of a version left, then have it upgraded by ``mlflow db upgrade``."""
    database = unpack(version, folder / "left")
    return _origin(
        f"sqlite:///{database}", database.parent / "artifacts", folder, servers, workspaces=version == NEWEST
    )


def new_origin(database: str, folder: Path, servers: QuickServers) -> Origin:
    """Fill an empty MLflow database over HTTP, and archive it."""
    fill_newest(servers, database, folder)
    return _origin(database, folder / "artifacts", folder, servers, workspaces=True)


def _may_be(difference: str, origin: Origin) -> bool:
    return origin.upgraded and difference.partition(":")[0] in MADE_BY_MIGRATIONS


def _origin(uri: str, artifacts: Path, folder: Path, servers: QuickServers, *, workspaces: bool) -> Origin:
    archive = folder / "archive"
    report = api.backup(uri, str(archive), artifact_roots={"mlflow-artifacts:/": str(artifacts)}, secrets=SECRETS)
    others = [loss for loss in report.losses if "s3://bucket" not in loss.reason and "dbfs:" not in loss.reason]
    assert not others, others
    before = revision_of(read_tables(uri))
    servers.call(f"{MLFLOW_ALONE}:upgrade", with_driver(uri))
    tables = read_tables(uri)
    with servers.serving(uri, artifacts, workspaces=workspaces) as address:
        shown = servers.rows(address)
    return Origin(archive, revision_of(tables) != before, workspaces, tables, shown)


def check(origin: Origin, place: Databases, folder: Path, servers: QuickServers) -> None:
    """Restore an origin exactly into a new database, and hold it against the origin.

    The tables row by row, then what the public client shows behind a server, files included, then by making new
    objects beside those.
    """
    target = place.new_database()
    artifacts = folder / "restored"
    report = api.restore(
        str(origin.archive), target, exact=True, activate=True, artifact_roots={"mlflow-artifacts:/": str(artifacts)}
    )
    assert {loss.kind for loss in report.losses} <= {"registered_model", "run"}, report.losses
    tables = origin.tables if place.dialect == "postgresql" else without_signs_of_zeros(origin.tables)
    found = [one for one in differences(tables, read_tables(target)) if not _may_be(one, origin)]
    assert not found, "\n".join(found)
    with servers.serving(target, artifacts, workspaces=origin.workspaces) as address:
        shown = compare_rows(origin.shown, servers.rows(address), limits={})
        assert not shown, describe(shown)
        servers.call(f"{MLFLOW_ALONE}:make", address)
    place.drop_database(target)
