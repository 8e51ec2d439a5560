"""How files go to the clouds that a workspace signs addresses of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from mlflow_archive.errors import UnavailableError, UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.artifact_contract import ArtifactOwner
from mlflow_archive.tracking.databricks.signed_files import SignedFolder

ADDRESS = "https://account.blob.core.windows.net/c/f?sig=s3cr3t"


class Cloud:
    """A client that remembers what was sent to signed addresses."""

    def __init__(self, type: str, address: str = ADDRESS) -> None:
        self.sent: list[tuple[str, str, bytes, Mapping[str, str]]] = []
        self.asked: list[tuple[str, Any]] = []
        self._info = {"type": type, "signed_uri": address, "headers": [{"name": "x-extra", "value": "1"}]}

    def call(self, method: str, path: str, *, params: Any = None, body: Any = None) -> dict[str, Any]:
        self.asked.append((path, body))
        if "logged-models" in path:
            return {"credentials": [{"path": body["paths"][0], "credential_info": self._info}]}
        return {"credential_infos": [self._info]}

    def upload(self, method: str, path: str, data: Any, *, headers: Mapping[str, str]) -> bytes:
        self.sent.append((method, path, data if isinstance(data, bytes) else b"".join(data), headers))
        return b""

    @contextmanager
    def fetch(self, address: str, headers: Mapping[str, str], shown: str) -> Iterator[Iterator[bytes]]:
        assert (address, shown) == (ADDRESS, "f")
        assert headers == {"x-extra": "1"}
        yield iter((b"got",))


def folder(cloud: Cloud, kind: Kind = Kind.RUN) -> SignedFolder:
    return SignedFolder(cloud, ArtifactOwner(kind, "the-id", "dbfs:/databricks/x"))  # type: ignore[arg-type]


def test_s3_takes_a_file_with_its_length() -> None:
    cloud = Cloud("AWS_PRESIGNED_URL")
    folder(cloud).write("f", iter((b"ab", b"c")), 3)
    assert cloud.sent == [("PUT", ADDRESS, b"abc", {"Content-Length": "3", "x-extra": "1"})]
    assert cloud.asked == [("/api/2.0/mlflow/artifacts/credentials-for-write", {"run_id": "the-id", "path": ["f"]})]


def test_the_length_is_found_out_where_nobody_knows_it() -> None:
    cloud = Cloud("GCP_SIGNED_URL")
    folder(cloud).write("f", iter((b"ab", b"cd")), None)
    assert [(data, headers["Content-Length"]) for _, _, data, headers in cloud.sent] == [(b"abcd", "4")]


def test_azure_wants_the_kind_of_the_blob() -> None:
    cloud = Cloud("AZURE_SAS_URI")
    folder(cloud, Kind.LOGGED_MODEL).write("f", iter((b"ab",)), 2)
    assert cloud.sent[0][3]["x-ms-blob-type"] == "BlockBlob"
    assert cloud.asked[0][0] == "/api/2.0/mlflow/logged-models/the-id/artifacts/credentials-for-upload"


def test_adls_is_appended_to() -> None:
    cloud = Cloud("AZURE_ADLS_GEN2_SAS_URI")
    folder(cloud).write("f", iter((b"ab", b"c")), 3)
    assert [(method, path.removeprefix(ADDRESS), data) for method, path, data, _ in cloud.sent] == [
        ("PUT", "&resource=file", b""),
        ("PATCH", "&action=append&position=0", b"abc"),
        ("PATCH", "&action=flush&position=3", b""),
    ]


def test_a_file_is_read_from_its_address() -> None:
    with folder(Cloud("AZURE_SAS_URI")).open("f") as chunks:
        assert b"".join(chunks) == b"got"


def test_a_file_that_is_too_large_is_not_begun() -> None:
    cloud = Cloud("AWS_PRESIGNED_URL")
    with pytest.raises(UsageError, match="takes 5000000000 at a signed address") as caught:
        folder(cloud).write("f", iter(()), 5_000_000_001)
    assert caught.value.code == "limit"
    assert not cloud.sent


def test_no_address_is_an_error_without_one() -> None:
    with pytest.raises(UnavailableError, match="no address for the file 'f'"):
        folder(Cloud("AWS_PRESIGNED_URL", "")).write("f", iter(()), 0)


def test_a_name_stays_below_its_root() -> None:
    with pytest.raises(UsageError, match="does not stay below"):
        folder(Cloud("AWS_PRESIGNED_URL")).write("../f", iter(()), 0)
