"""What servers of each version left, restored exactly on each database: as MLflow itself would have upgraded it."""

from __future__ import annotations

import pytest

from tests.databases.filled import NEWEST, OLD_VERSIONS
from tests.databases.fixtures import EXACT_KINDS
from tests.servers import QuickServers
from tests.tracking.database.exact.matrix import check, old_origin

pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]


@pytest.fixture(scope="module")
def servers(tmp_path_factory):
    with QuickServers(tmp_path_factory.mktemp("servers")) as quick:
        yield quick


@pytest.fixture(scope="module", params=[*OLD_VERSIONS, NEWEST])
def origin(request, tmp_path_factory, servers):
    return old_origin(request.param, tmp_path_factory.mktemp("origin"), servers)


@pytest.mark.parametrize("kind", EXACT_KINDS)
def test_a_restored_database_is_the_upgraded_one(origin, kind, databases, servers, tmp_path):
    check(origin, databases(kind), tmp_path, servers)
