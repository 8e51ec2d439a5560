"""What the name of a place asks for, said before anything is written."""

import pytest

from mlflow_archive import api
from mlflow_archive.errors import NotAnArchiveError, UsageError

TARBALLS = ["x.tar", "x.tar.gz", "x.TGZ", "x.tar.zst"]


@pytest.mark.parametrize("name", TARBALLS)
@pytest.mark.parametrize("container", ["tree", "volumes"])
def test_a_name_and_a_container_that_contradict_each_other(name: str, container: str, tmp_path) -> None:
    with pytest.raises(UsageError, match="tarball"):
        api.backup("http://127.0.0.1:9", str(tmp_path / name), container=container)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", TARBALLS)
def test_looking_into_a_tarball_that_is_not_there_makes_none(name: str, tmp_path) -> None:
    with pytest.raises(NotAnArchiveError), api.open(str(tmp_path / name)):
        pass
    assert {problem.rule for problem in api.verify(str(tmp_path / name)).problems} == {"E005"}
    assert list(tmp_path.iterdir()) == []
