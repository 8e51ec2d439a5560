"""Tarballs and volumes that were made to do harm are refused with a rule, soon, and in little memory."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.storage.packed.hostile import corpus

ROOT = Path(__file__).parents[3]
NAMES = [name for name, _, _ in corpus()]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hostile")
    answer = subprocess.run(
        [sys.executable, "-m", "tests.storage.packed.hostile", str(folder)],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=600,
    )  # fmt: skip
    found = [json.loads(line) for line in answer.stdout.splitlines()]
    return {result["name"]: result for result in found}


@pytest.mark.parametrize("name", NAMES)
def test_it_is_refused_with_its_rule_soon_and_in_little_memory(results, name):
    result = results[name]
    assert "traceback" not in result, result["traceback"]
    rule = result["rule"]
    assert rule in result["verify"], result
    if not rule.startswith("W"):
        unread = rule in ("E063", "E065") or name.startswith("member beside the table")
        assert result["read"] or unread, result
        assert result["read"] != "no rule"
    assert len(result["sentence"]) < 600
    assert result["read_seconds"] < 2, result
    assert result["verify_seconds"] < 2, result
    assert result["more_bytes"] < 64 << 20, result


def test_there_is_one_for_each_way_to_do_harm():
    assert len(NAMES) == len(set(NAMES)) > 100
