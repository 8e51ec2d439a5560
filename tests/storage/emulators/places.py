"""Every kind of place for archives, each on its emulator: for what is to be the same on all of them."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests.storage.emulators.azurite import azurite
from tests.storage.emulators.dbfs import TOKEN, FakeDatabricks
from tests.storage.emulators.gcs import Bucket, fake_gcs
from tests.storage.emulators.moto import moto_service
from tests.storage.emulators.rclone import rclone_service
from tests.storage.emulators.s3 import S3Service
from tests.storage.emulators.unconditional import unconditional
from tests.storage.emulators.unity import VOLUME


@dataclass(frozen=True)
class Place:
    """A folder with nothing in it, and what a user gives to reach it."""

    url: str
    options: Mapping[str, object]

    def arguments(self, option: str = "--storage-option") -> list[str]:
        """Return the options for the command line."""
        return [text for name, value in _flat(self.options) for text in (option, f"{name}={value}")]


def _flat(options: Mapping[str, object], start: str = "") -> Iterator[tuple[str, object]]:
    for name, value in options.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{start}{name}.")
        else:
            yield f"{start}{name}", value


def s3_place(service: S3Service) -> Place:
    """Return a new place on an S3 service."""
    return Place(f"s3://{service.new_bucket()}/{uuid.uuid4().hex}", service.storage_options)


def azure_place(options: Mapping[str, object]) -> Place:
    """Return a new place in the container ``archives``, which is there."""
    return Place(f"abfs://archives/{uuid.uuid4().hex}", options)


def gcs_place(options: Mapping[str, object]) -> Place:
    """Return a new place in the bucket ``archives``, which is there."""
    return Place(f"gs://archives/{uuid.uuid4().hex}", options)


def dbfs_place(workspace: FakeDatabricks, root: str = "") -> Place:
    """Return a new place on DBFS, or below a volume."""
    return Place(f"dbfs:{root}/{uuid.uuid4().hex}", {"host": workspace.host, "token": TOKEN})


@contextmanager
def _moto(directory: Path) -> Iterator[Place]:
    with moto_service(directory) as service:
        yield s3_place(service)


@contextmanager
def _moto_without_conditions(directory: Path) -> Iterator[Place]:
    with moto_service(directory) as service, unconditional(service, 501, "NotImplemented") as refusing:
        yield s3_place(refusing)


@contextmanager
def _rclone(directory: Path) -> Iterator[Place]:
    with rclone_service(directory) as service:
        yield s3_place(service)


@contextmanager
def _azurite(directory: Path) -> Iterator[Place]:
    from azure.storage.blob import BlobServiceClient

    with azurite(directory) as options:
        with BlobServiceClient.from_connection_string(options["connection_string"]) as service:
            service.create_container("archives")
        yield azure_place(options)


@contextmanager
def _fake_gcs(directory: Path) -> Iterator[Place]:
    with fake_gcs(directory) as options:
        Bucket(options["endpoint_url"])
        yield gcs_place(options)


@contextmanager
def _databricks(root: str) -> Iterator[Place]:
    with FakeDatabricks(visible_on_create=False) as workspace:
        yield dbfs_place(workspace, root)


#: Starts an emulator with its files in a folder, and gives a place on it.
PLACES: Mapping[str, Callable[[Path], AbstractContextManager[Place]]] = {
    "S3 (moto)": _moto,
    "S3 (moto, If-None-Match answered with 501)": _moto_without_conditions,
    "S3 (rclone)": _rclone,
    "Azure (Azurite)": _azurite,
    "Google Cloud (fake-gcs-server)": _fake_gcs,
    "DBFS (fake)": lambda _: _databricks(""),
    "Unity Catalog volume (fake)": lambda _: _databricks(VOLUME),
}
