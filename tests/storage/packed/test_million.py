"""Tables of many members: written by us, read again, in memory that is known."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("compression", ["none", "zstd"])
def test_tens_of_thousands_of_members(tmp_path, compression):
    answer = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.many_members", "10000", compression, str(tmp_path / "many")],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    found = json.loads(answer.stdout)
    assert found["members"] == 10_000
    assert found["table_mib"] < 2
    assert found["open_more_mib"] < 32
