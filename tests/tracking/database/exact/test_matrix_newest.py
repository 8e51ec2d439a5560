"""The newest MLflow filled on PostgreSQL and on MariaDB, restored exactly on each database."""

from __future__ import annotations

import pytest

from tests.databases.fixtures import EXACT_KINDS
from tests.servers import QuickServers
from tests.tracking.database.exact.matrix import check, new_origin

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with QuickServers(tmp_path_factory.mktemp("servers")) as quick:
        yield quick


@pytest.fixture(scope="module", params=["postgresql", "exact_mariadb"])
def origin(request, tmp_path_factory, new_mlflow_database, servers):
    return new_origin(new_mlflow_database(request.param), tmp_path_factory.mktemp("origin"), servers)


@pytest.mark.parametrize("kind", EXACT_KINDS)
def test_a_restored_database_is_the_lost_one(origin, kind, databases, servers, tmp_path):
    check(origin, databases(kind), tmp_path, servers)
