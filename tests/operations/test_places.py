from __future__ import annotations

import pytest

from mlflow_archive import api
from mlflow_archive.errors import UnsupportedError


@pytest.mark.parametrize("name", ["x.tar", "x.tar.gz", "x.TGZ", "x.tar.zst"])
def test_a_tarball_is_refused_in_one_sentence_before_anything_is_written(name: str, tmp_path) -> None:
    with pytest.raises(UnsupportedError, match="tarball, which this version neither writes nor reads"):
        api.backup("http://127.0.0.1:9", str(tmp_path / name))

    with pytest.raises(UnsupportedError):
        api.verify(str(tmp_path / name))

    assert list(tmp_path.iterdir()) == []
