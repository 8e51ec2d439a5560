"""verify, ls and show on a real archive."""

from __future__ import annotations

import json
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mlflow_archive import api
from mlflow_archive.cli.document import rendered
from mlflow_archive.cli.main import cli
from mlflow_archive.errors import ExitCode
from mlflow_archive.spec.selection import Selection
from tests.cli.conftest import write_archive


def invoke(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def document(result: Result) -> dict:
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_sound_archive_is_verified(small_archive: Path) -> None:
    result = invoke("verify", small_archive)

    assert result.exit_code == ExitCode.DONE
    assert result.stdout.startswith(f"OK: {small_archive} is valid (15 objects, 27 files, ")


@pytest.mark.parametrize("level", ["complete", "valid", "restorable"])
def test_every_level_of_verification(small_archive: Path, level: str) -> None:
    found = document(invoke("verify", small_archive, "--level", level, "--json"))

    assert (found["ok"], found["level"], found["problems"]) == (True, level, [])


def test_the_root_digest_is_compared(small_archive: Path) -> None:
    digest = document(invoke("verify", small_archive, "--json"))["root_digest"]

    assert invoke("verify", small_archive, "--digest", digest).exit_code == ExitCode.DONE
    wrong = invoke("verify", small_archive, "--digest", "0" * 64)
    assert wrong.exit_code == ExitCode.INTEGRITY
    assert "E044 manifest.json" in wrong.stdout


def test_exit_5_when_a_byte_is_flipped(small_archive: Path) -> None:
    weights = next(small_archive.rglob("weights.bin"))
    flipped = bytearray(weights.read_bytes())
    flipped[7] ^= 1
    weights.write_bytes(flipped)

    result = invoke("verify", small_archive)

    assert result.exit_code == ExitCode.INTEGRITY
    assert "DAMAGED" in result.stdout
    assert "E042 experiments/" in result.stdout
    quiet = invoke("verify", small_archive, "--quiet")
    assert (quiet.exit_code, quiet.stdout) == (ExitCode.INTEGRITY, "")
    assert quiet.stderr.startswith("Error: The archive has 1 problem")
    found = json.loads(invoke("verify", small_archive, "--json").stdout)
    assert [problem["rule"] for problem in found["problems"]] == ["E042"]


def test_the_events_of_a_damaged_archive_end_with_the_error(small_archive: Path) -> None:
    next(small_archive.rglob("weights.bin")).unlink()

    for flags in ((), ("--quiet",), ("--json",)):
        result = invoke("verify", small_archive, "--events", *flags)

        events = [json.loads(line) for line in result.stderr.splitlines()]
        assert result.exit_code == ExitCode.INTEGRITY
        assert [event["event"] for event in events].count("error") == 1
        last = events[-1]
        assert (last["event"], last["code"], last["exit_code"]) == ("error", "integrity", ExitCode.INTEGRITY)
        assert [problem["rule"] for problem in last["problems"]] == ["E040"]


@pytest.mark.parametrize("command", [["verify"], ["ls"], ["show", "x"]])
def test_exit_6_without_an_archive(tmp_path: Path, command: list[str]) -> None:
    result = invoke(command[0], tmp_path / "nothing", *command[1:])

    assert result.exit_code == ExitCode.NOT_AN_ARCHIVE
    assert result.stdout == ""
    assert result.stderr.splitlines()[-1].startswith("Error: ")


@pytest.mark.parametrize("command", [["verify"], ["ls"], ["show", "x"]])
def test_exit_6_for_an_interrupted_backup(small_archive: Path, command: list[str]) -> None:
    (small_archive / "manifest.json").unlink()

    result = invoke(command[0], small_archive, *command[1:])

    assert result.exit_code == ExitCode.NOT_AN_ARCHIVE


@pytest.mark.parametrize("command", [["verify"], ["ls"], ["show", "x"]])
def test_exit_8_for_a_format_of_the_future(small_archive: Path, command: list[str]) -> None:
    marker = small_archive / "mlflow-archive.json"
    marker.write_text(marker.read_text().replace('"spec_version": "1.0"', '"spec_version": "9.0"'))

    result = invoke(command[0], small_archive, *command[1:])

    assert result.exit_code == ExitCode.UNSUPPORTED
    assert result.stderr.count("Error: ") == 1


def test_ls_lists_the_sections(small_archive: Path) -> None:
    lines = invoke("ls", small_archive).stdout.splitlines()

    assert lines[0].startswith(f"{small_archive}: complete archive of ")
    assert "  from     http://fake:5000 (MLflow 3.17.2)" in lines
    assert any(line.startswith("2 experiments, ") for line in lines)
    assert any(line.endswith("3 runs, 1 logged model, 1 trace") for line in lines)
    assert any(line.startswith("1 registered model, ") for line in lines)


def test_ls_tells_what_was_selected_by_and_what_stayed_out(tmp_path: Path) -> None:
    write_archive(tmp_path / "some", Selection(deleted=False, experiments=("experiment/0",), prompts=()))

    text = invoke("ls", tmp_path / "some").stdout

    assert "  holds    a selection: no deleted, experiments, no prompts\n" in text


def test_ls_lists_an_experiment(small_archive: Path) -> None:
    text = invoke("ls", small_archive, "--experiment", "experiment/0").stdout

    assert "3 runs, " in text
    assert "in experiment experiment/0" in text
    assert "run-2  FINISHED  2023-11-14T22:13:20Z" in text
    assert "4 files" in text


def test_ls_lists_a_kind(small_archive: Path) -> None:
    sections = document(invoke("ls", small_archive, "--kind", "runs", "--json"))["sections"]

    assert [(section["kind"], section["experiment_id"], section["count"]) for section in sections] == [
        ("run", "1", 3),
        ("run", "2", 3),
    ]


def test_ls_of_what_is_not_there(small_archive: Path) -> None:
    result = invoke("ls", small_archive, "--experiment", "no such")

    assert result.exit_code == ExitCode.FAILED
    assert "no such" in result.stderr


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("run-1", ["run_name         run-1", "lr  0.1", "metrics  2 rows", "model/weights.bin", "2.8 KiB"]),
        ("experiment/0", ["experiment 1", "creation_time", "2023-11-14T22:13:20Z", "team  ä"]),
        ("iris: the model", ["registered model iris: the model", "champion  2", "versions/1/artifacts/MLmodel"]),
        (f"tr-{0:032x}", ["trace tr-", "spans  3 rows"]),
        ("d-1", ["evaluation dataset d-1", "records  5 rows"]),
    ],
)
def test_show_shows_any_object(small_archive: Path, name: str, expected: list[str]) -> None:
    result = invoke("show", small_archive, name)

    assert result.exit_code == 0, result.output
    assert [text for text in expected if text not in result.stdout] == []


def test_show_prints_the_whole_document(small_archive: Path) -> None:
    found = document(invoke("show", small_archive, "run-1", "--json"))

    stored = small_archive / "experiments" / "1" / "runs" / found["id"] / "run.json"
    assert found == json.loads(stored.read_bytes())


def test_show_shortens_what_is_long() -> None:
    record = {"tags": {"long": "x" * 1000, "lines": "a\nb"}, "rows": [{"n": n} for n in range(60)]}

    text = rendered({"kind": "run", "id": "r", "record": record})

    assert max(map(len, text.splitlines())) < 120
    assert "  lines  a b" in text
    assert "... and 10 more; --json lists all." in text


def test_looking_needs_no_mlflow(small_archive: Path) -> None:
    program = """
import sys
sys.modules["mlflow"] = None
from mlflow_archive.cli.main import main
main()
"""
    for arguments in (["ls"], ["verify", "--quiet"], ["show", "run-1"]):
        command = [sys.executable, "-c", program, arguments[0], str(small_archive), *arguments[1:]]
        done = subprocess.run(command, capture_output=True, text=True, check=False)

        assert (done.returncode, done.stderr) == (0, "")


def test_a_closed_pipe_is_no_news(small_archive: Path) -> None:
    command = f"{sys.executable} -m mlflow_archive ls {small_archive} | true"

    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)

    assert done.stderr == ""


def test_verify_names_the_place_without_an_archive(tmp_path: Path) -> None:
    result = invoke("verify", tmp_path)

    assert result.exit_code == ExitCode.NOT_AN_ARCHIVE
    assert f"There is no archive: {tmp_path} has no manifest.json (E005)." in result.stderr


def test_a_password_in_the_url_is_not_shown() -> None:
    url = f"memory://ann:pa55@{uuid.uuid4().hex}/archive"
    write_archive(url)
    results = [
        invoke("ls", url),
        invoke("ls", url, "--json"),
        invoke("show", url, "nobody"),
        invoke("verify", url),
        invoke("verify", url, "--json", "--events"),
    ]

    for result in results:
        assert "pa55" not in result.output, result.output
    with api.open(url) as archive:
        assert "pa55" not in archive.url
