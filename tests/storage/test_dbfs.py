"""DBFS and Unity Catalog volumes, against a fake workspace (tests/storage/emulators/dbfs.py)."""

from __future__ import annotations

import pytest

from mlflow_archive.storage.databricks_api import DatabricksApi, Patience
from mlflow_archive.storage.dbfs_store import DbfsStore
from mlflow_archive.storage.unity_store import UnityStore
from tests.storage.conformance import StoreTests
from tests.storage.emulators.dbfs import TOKEN, FakeDatabricks
from tests.storage.emulators.unity import VOLUME

QUICK = Patience(first_pause_seconds=0.001)


@pytest.fixture
def workspace():
    with FakeDatabricks() as fake:
        yield fake


def api_of(fake: FakeDatabricks, **options: str) -> DatabricksApi:
    return DatabricksApi({"host": fake.host, "token": TOKEN, **options}, patience=QUICK)


class DbfsTests(StoreTests):
    exclusive_create = False
    visible_on_create: bool
    empty_behind_end: bool

    @pytest.fixture
    def store(self):
        switches = {"visible_on_create": self.visible_on_create, "empty_behind_end": self.empty_behind_end}
        with FakeDatabricks(**switches) as self.fake:
            store = DbfsStore(api_of(self.fake), "/backups/one")
            yield store
            store.close()

    def raw_read(self, store, key):
        found = self.fake.files.get(f"/backups/one/{key}")
        return None if found is None else found[0]

    def raw_write(self, store, key, data):
        self.fake.raw_write(f"/backups/one/{key}", data)

    def raw_keys(self, store):
        return {path.removeprefix("/backups/one/") for path in self.fake.files}


class TestDbfsThatShowsFilesWhenCreated(DbfsTests):
    visible_on_create = True
    empty_behind_end = True


class TestDbfsThatShowsFilesWhenClosed(DbfsTests):
    visible_on_create = False
    empty_behind_end = False


class VolumeTests(StoreTests):
    exclusive_create = False
    signed_urls: bool

    @pytest.fixture
    def store(self):
        with FakeDatabricks() as self.fake:
            self.fake.unity.signed_urls = self.signed_urls
            self.fake.unity.page = 3
            store = UnityStore(api_of(self.fake), f"{VOLUME}/one")
            yield store
            store.close()

    def raw_read(self, store, key):
        found = self.fake.unity.files.get(f"{VOLUME}/one/{key}")
        return None if found is None else found[0]

    def raw_write(self, store, key, data):
        self.fake.unity.raw_write(f"{VOLUME}/one/{key}", data)

    def raw_keys(self, store):
        return {path.removeprefix(f"{VOLUME}/one/") for path in self.fake.unity.files}


class TestVolume(VolumeTests):
    signed_urls = True


class TestVolumeWithoutSignedUrls(VolumeTests):
    signed_urls = False
