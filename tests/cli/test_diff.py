"""diff on real archives."""

from __future__ import annotations

import json
from pathlib import Path

from click.testing import CliRunner, Result

from mlflow_archive.cli.main import cli
from mlflow_archive.errors import ExitCode
from tests.cli.conftest import write_archive


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, ["diff", *(str(argument) for argument in arguments), "--parallel", "2"])


def test_equal_archives(small_archive: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "other")

    result = invoke(small_archive, tmp_path / "other")

    assert result.exit_code == ExitCode.DONE, result.output
    assert result.stdout.endswith("\nEqual\n")
    assert "  runs                     6          0          0           0\n" in result.stdout


def test_exit_1_when_archives_differ(small_archive: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "other", experiments=1, runs=5)

    result = invoke(small_archive, tmp_path / "other")

    assert result.exit_code == ExitCode.FAILED
    assert result.stdout.endswith("\nDifferent: 8 objects\n")
    assert f"Only in {small_archive}:\n  experiment 2 (experiment/1)\n" in result.stdout
    found = json.loads(invoke(small_archive, tmp_path / "other", "--json").stdout)
    assert (found["same"], len(found["only_left"]), len(found["only_right"])) == (False, 6, 2)


def test_a_selection_is_compared(small_archive: Path, tmp_path: Path) -> None:
    write_archive(tmp_path / "other", experiments=1)

    result = invoke(small_archive, tmp_path / "other", "--experiment", "1", "--only", "runs")

    assert result.exit_code == ExitCode.DONE, result.output


def test_exit_6_when_one_side_is_no_archive(small_archive: Path, tmp_path: Path) -> None:
    result = invoke(small_archive, tmp_path / "nothing")

    assert result.exit_code == ExitCode.NOT_AN_ARCHIVE
