"""Addresses that lead out of the folder in which they begin."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.artifact_contract import ArtifactOwner
from mlflow_archive.tracking.artifact_routes import Place, Routes, Way
from mlflow_archive.tracking.client import ServerClient


def _to(uri: str, roots: dict[str, str], *, writing: bool) -> Place:
    client = cast("ServerClient", SimpleNamespace(local=True, artifact_roots={}))
    return Routes(client, roots).to(ArtifactOwner(Kind.RUN, "r1", uri), writing=writing)


@pytest.mark.parametrize("writing", [True, False])
@pytest.mark.parametrize("uri", ["mlflow-artifacts:/1/../../etc", "mlflow-artifacts:/..", "s3://old/1/../../etc"])
@pytest.mark.parametrize("root", ["/srv/artifacts", "s3://bucket/root"])
def test_nothing_leads_out_of_a_root(uri: str, root: str, *, writing: bool) -> None:
    with pytest.raises(UsageError, match=r"leads out of .* --artifact-root") as error:
        _to(uri, {"mlflow-artifacts:/": root, "s3://old": root}, writing=writing)
    assert error.value.code == "artifact_root"


@pytest.mark.parametrize("uri", ["/srv/new/../../etc", "file:///srv/new/%2e%2e/etc", "s3://new/root/../../other"])
def test_nothing_is_written_where_an_address_climbs(uri: str) -> None:
    with pytest.raises(UsageError, match="leads out of"):
        _to(uri, {}, writing=True)


def test_a_root_beside_the_folder_of_a_server_can_be_given(tmp_path: Path) -> None:
    place = Place(Way.LOCAL, str(tmp_path / "1/r1/artifacts"), mapped=True)
    assert _to("../mlruns/1/r1/artifacts", {"../mlruns": str(tmp_path)}, writing=True) == place
    assert _to("mlflow-artifacts:/1/r1/..artifacts", {"mlflow-artifacts:/": "/srv"}, writing=True).path.endswith(
        "..artifacts"
    )
