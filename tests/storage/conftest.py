"""Object stores for tests, each started when it is first needed."""

from __future__ import annotations

import sys
import uuid

import pytest

from tests.storage.emulators.azurite import azurite
from tests.storage.emulators.dbfs import FakeDatabricks
from tests.storage.emulators.gcs import Bucket, fake_gcs
from tests.storage.emulators.moto import moto_service
from tests.storage.emulators.places import Place, azure_place, dbfs_place, gcs_place, s3_place
from tests.storage.emulators.rclone import rclone_service
from tests.storage.emulators.unity import VOLUME

#: obstore is there for newer Pythons only.
collect_ignore = [] if sys.version_info >= (3, 11) else ["test_s3_obstore.py"]


@pytest.fixture(scope="session")
def moto(tmp_path_factory):
    """S3 as moto has it."""
    with moto_service(tmp_path_factory.mktemp("moto")) as service:
        yield service


@pytest.fixture(scope="session")
def rclone(tmp_path_factory):
    """S3 as rclone has it."""
    with rclone_service(tmp_path_factory.mktemp("rclone")) as service:
        yield service


@pytest.fixture(scope="session")
def azure_options(tmp_path_factory):
    """Storage options for Azurite."""
    with azurite(tmp_path_factory.mktemp("azurite")) as options:
        yield options


@pytest.fixture(scope="session")
def container(azure_options):
    """The container ``archives`` in Azurite: Microsoft's own client, to look behind a store with."""
    from azure.storage.blob import BlobServiceClient

    service = BlobServiceClient.from_connection_string(azure_options["connection_string"])
    with service.create_container("archives") as client:
        yield client


@pytest.fixture(scope="session")
def gcs_options(tmp_path_factory):
    """Storage options for fake-gcs-server."""
    with fake_gcs(tmp_path_factory.mktemp("fake-gcs")) as options:
        yield options


@pytest.fixture(scope="session")
def bucket(gcs_options):
    """The bucket ``archives`` in fake-gcs-server, to look behind a store with."""
    return Bucket(gcs_options["endpoint_url"])


@pytest.fixture
def new_place(request, tmp_path):
    """Gives a folder with nothing in it, of a kind in `KINDS`."""

    def made(kind: str) -> Place:
        if kind == "local":
            return Place(f"{tmp_path}/{uuid.uuid4().hex}", {})
        if kind in ("s3-moto", "s3-rclone"):
            return s3_place(request.getfixturevalue(kind.removeprefix("s3-")))
        if kind == "adls":
            request.getfixturevalue("container")
            return azure_place(request.getfixturevalue("azure_options"))
        if kind == "gcs":
            request.getfixturevalue("bucket")
            return gcs_place(request.getfixturevalue("gcs_options"))
        return dbfs_place(request.getfixturevalue("workspace"), {"dbfs": "", "volume": VOLUME}[kind])

    return made


@pytest.fixture
def workspace():
    """A Databricks workspace with nothing in it."""
    with FakeDatabricks() as fake:
        yield fake
