from __future__ import annotations

import pytest

from mlflow_archive.spec.records.registered_model import ModelVersion
from mlflow_archive.tracking.sources.registered_models import _is_elsewhere

RUN, MODEL = "a" * 32, "m-" + "b" * 32


@pytest.mark.parametrize(
    ("location", "elsewhere"),
    [
        (f"mlflow-artifacts:/1/{RUN}/artifacts/model", True),
        (f"/data/artifacts/1/{RUN}/artifacts/model", True),
        (f"/data/artifacts/1/models/{MODEL}/artifacts", True),
        (f"models:/{MODEL}", True),
        ("mlflow-archive:/flower/1", True),
        ("/data/artifacts/model", False),
        ("s3://bucket/artifacts/model", False),
    ],
)
def test_only_files_of_a_versions_own_are_read_with_it(location: str, elsewhere: bool) -> None:
    assert _is_elsewhere(ModelVersion(version=1, storage_location=location)) is elsewhere
