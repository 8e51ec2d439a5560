"""Archives of mlflow-export-import where nothing is a folder of this machine: an object store, a zip in it."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from mlflow_archive import api
from tests.predecessor import trees
from tests.storage.emulators.moto import moto_service
from tests.storage.emulators.s3 import S3Service


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Service]:
    with moto_service(tmp_path_factory.mktemp("moto")) as found:
        yield found


@pytest.mark.parametrize("name", ["old", "old.zip"])
def test_an_object_store(name: str, service: S3Service, tmp_path: Path):
    """Names that an archive of ours could not have are read as well."""
    folder = trees.exported_all(tmp_path / "old", "G5")
    bucket = service.new_bucket()
    if name == "old":
        for path in folder.rglob("*"):
            if path.is_file():
                service.put(bucket, f"old/{path.relative_to(folder).as_posix()}", path.read_bytes())
    else:
        zipped = shutil.make_archive(str(tmp_path / "old"), "zip", tmp_path, "old")
        service.put(bucket, name, Path(zipped).read_bytes())
    url, options = f"s3://{bucket}/{name}", service.storage_options
    report = api.verify(url, storage_options=options)
    assert (report.ok, report.objects, report.blobs) == (True, 8, 3)
    compared = api.diff(url, str(folder), storage_options=options)
    assert compared.same
    assert compared.equal["run"] == 2
    api.repack(url, str(tmp_path / "new"), src_storage_options=options)
    assert api.diff(str(tmp_path / "new"), str(folder)).same
