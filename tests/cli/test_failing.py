"""From errors to sentences and exit codes: one test for each code, no traceback for anything a user can cause."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import pytest
from click.testing import CliRunner, Result

from mlflow_archive import api, errors
from mlflow_archive.cli.main import cli
from mlflow_archive.errors import ExitCode, IntegrityError, MlflowArchiveError, Problem
from mlflow_archive.operations.report import Report
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import KindCount

Replace = Callable[[str, Any], None]


@pytest.fixture
def replace(monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Replaces a call of the library by one that returns or raises something."""

    def replace_call(name: str, outcome: Any) -> None:
        def call(*args: Any, **kwargs: Any) -> Any:
            if isinstance(outcome, BaseException):
                raise outcome
            return outcome

        monkeypatch.setattr(api, name, call)

    return replace_call


def invoke(*arguments: str) -> Result:
    result = CliRunner().invoke(cli, arguments, prog_name="mlflow-archive")
    assert isinstance(result.exception, SystemExit | type(None)), result.exception
    assert "Traceback" not in result.output
    return result


def report(*losses: Loss) -> Report:
    return Report(
        verb="backup",
        source="http://localhost:5000",
        target="/backups/one",
        status="partial" if losses else "complete",
        counts={"run": KindCount(stored=3, skipped=0, lost=0)},
        losses=losses,
        root_digest="ab" * 32,
    )


def loss(number: int, **fields: Any) -> Loss:
    return Loss(
        **{
            "kind": "run",
            "id": f"run{number:04}",
            "path": f"plots/{number}.png",
            "code": "not_found",
            "reason": f"plots/{number}.png is not at its place.",
            **fields,
        }
    )


FAMILIES = [
    errors.UsageError,
    errors.NotAuthorisedError,
    errors.IntegrityError,
    errors.NotAnArchiveError,
    errors.ConflictError,
    errors.UnsupportedError,
    errors.NotFoundError,
    errors.UnavailableError,
]


@pytest.mark.parametrize("family", FAMILIES, ids=[family.code for family in FAMILIES])
def test_an_error_is_one_sentence_and_its_exit_code(replace: Replace, family: type[MlflowArchiveError]) -> None:
    replace("backup", family("Something is wrong;\n  do this."))

    result = invoke("backup", "somewhere", "--quiet")

    assert result.exit_code == family.exit_code
    assert result.stdout == ""
    assert result.stderr == "Error: Something is wrong; do this.\n"


@pytest.mark.parametrize("family", FAMILIES, ids=[family.code for family in FAMILIES])
def test_an_error_is_one_json_document(replace: Replace, family: type[MlflowArchiveError]) -> None:
    replace("restore", family("Something is wrong."))

    result = invoke("restore", "somewhere", "--json")

    assert json.loads(result.stdout) == {
        "error": {"code": family.code, "message": "Something is wrong.", "exit_code": family.exit_code}
    }


def test_exit_0_when_all_is_done(replace: Replace) -> None:
    replace("backup", report())

    result = invoke("backup", "/backups/one")

    assert result.exit_code == ExitCode.DONE
    assert "complete: nothing lost" in result.stdout
    assert result.stdout.endswith(f"Next: mlflow-archive verify /backups/one --digest {'ab' * 32}\n")


def test_exit_1_when_a_disk_is_full(replace: Replace) -> None:
    replace("backup", OSError(28, "No space left on device", "/backups/one/x"))

    result = invoke("backup", "/backups/one")

    assert result.exit_code == ExitCode.FAILED
    assert result.stderr == "Error: No space left on device: /backups/one/x.\n"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["backup"], "Missing argument 'DEST_URL'."),
        (["backup", "x", "--parallel", "0"], "Invalid value for '--parallel'"),
        (["backup", "x", "--storage-option", "novalue"], "a setting must be of the form KEY=VALUE"),
        (["restore", "x", "--if-exists", "overwrite"], "'overwrite' is not one of"),
        (["backup", "x", "--no-such-option"], "No such option"),
        (["no-such-command"], "No such command 'no-such-command'"),
        (["backup", "x", "--since", "yesterday"], "since 'yesterday' is not a time"),
        (["backup", "x", "--without", "rums"], "'rums' is not a kind of object"),
    ],
)
def test_exit_2_when_the_command_line_is_wrong(arguments: list[str], sentence: str) -> None:
    result = invoke(*arguments)

    assert result.exit_code == ExitCode.USAGE
    assert sentence in result.stderr
    assert result.stdout == ""
    as_json = json.loads(invoke(*arguments, "--json").stdout)
    assert (as_json["error"]["code"], as_json["error"]["exit_code"]) == ("usage", 2)


def test_exit_3_when_something_was_lost(replace: Replace) -> None:
    losses = [loss(number) for number in range(5)]
    odd = loss(9, kind="trace", id="", path=None, code="unavailable", reason="The server said 503.", retryable=True)
    replace("backup", report(*losses, odd))

    result = invoke("backup", "/backups/one")

    assert result.exit_code == ExitCode.LOSSES
    assert "partial: 6 losses" in result.stdout
    assert "  5 x not_found: ... is not at its place." in result.stdout
    assert result.stdout.count("run run000") == 3
    assert "... and 2 more" in result.stdout
    assert "  1 x unavailable: The server said 503. Trying again may help.\n      the list of traces" in result.stdout
    assert "The full list is in losses.jsonl of the archive." in result.stdout


def test_losses_are_told_even_when_quiet(replace: Replace) -> None:
    replace("restore", report(loss(1)))

    result = invoke("restore", "/backups/one", "--quiet")

    assert (result.exit_code, result.stdout) == (ExitCode.LOSSES, "")
    assert result.stderr == "1 loss; the full list is printed by --json.\n"


def test_exit_5_names_the_first_problems_and_json_all(replace: Replace) -> None:
    problems = [Problem("E042", f"file{number}", "the sha256 differs") for number in range(12)]
    replace("restore", IntegrityError("The archive is damaged.", problems=problems))

    result = invoke("restore", "x", "--quiet")

    assert result.exit_code == ExitCode.INTEGRITY
    assert result.stderr.splitlines()[:2] == ["Error: The archive is damaged.", "  E042 file0: the sha256 differs"]
    assert result.stderr.splitlines()[-1] == "  ... and 2 more; --json lists all."
    assert len(json.loads(invoke("restore", "x", "--json").stdout)["error"]["problems"]) == 12


@pytest.mark.parametrize(
    ("command", "advice"),
    [("backup", "the same command with --resume goes on with it."), ("restore", "the same command again")],
)
def test_exit_130_says_how_to_go_on(replace: Replace, command: str, advice: str) -> None:
    replace(command, KeyboardInterrupt())

    result = invoke(command, "x", "--quiet")

    assert result.exit_code == ExitCode.INTERRUPTED
    assert result.stderr.strip().startswith("Interrupted. ")
    assert advice in result.stderr
    as_json = json.loads(invoke(command, "x", "--json").stdout)
    assert (as_json["error"]["code"], as_json["error"]["exit_code"]) == ("interrupted", 130)


def test_with_events_every_line_on_standard_error_is_json(replace: Replace) -> None:
    replace("backup", errors.ConflictError("There is an archive at x already."))

    result = invoke("backup", "x", "--events")

    assert [json.loads(line) for line in result.stderr.splitlines()] == [
        {"event": "error", "code": "conflict", "message": "There is an archive at x already.", "exit_code": 7}
    ]


def test_the_json_of_a_report_is_one_document(replace: Replace) -> None:
    replace("backup", report(loss(1)))

    result = invoke("backup", "x", "--json")

    assert result.stderr == ""
    assert json.loads(result.stdout)["losses"][0]["id"] == "run0001"


def test_control_characters_of_a_server_do_not_reach_the_terminal(replace: Replace) -> None:
    replace("backup", errors.UnavailableError("The server said \x1b[31mno\x07."))

    result = invoke("backup", "x")

    assert result.stderr == "Error: The server said \N{REPLACEMENT CHARACTER}[31mno\N{REPLACEMENT CHARACTER}.\n"


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*args: Any, **kwargs: Any) -> NoReturn:
        raise ZeroDivisionError

    monkeypatch.setattr(api, "backup", broken)

    result = CliRunner().invoke(cli, ["backup", "x"])

    assert isinstance(result.exception, ZeroDivisionError)


@pytest.mark.parametrize("closed", [">&-", "2>&-"])
def test_a_closed_stream_is_no_traceback(closed: str, tmp_path: Path) -> None:
    command = f"{sys.executable} -m mlflow_archive ls {tmp_path} {closed}"

    done = subprocess.run(["/bin/sh", "-c", command], capture_output=True, text=True, check=False)

    assert done.returncode == ExitCode.NOT_AN_ARCHIVE
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("address", ["http://[::1", "http://127.0.0.1:99999", "http://host:port"])
def test_an_address_that_cannot_be_is_a_usage_error(address: str, tmp_path: Path) -> None:
    result = invoke("backup", str(tmp_path / "a"), "--tracking-uri", address)

    assert result.exit_code == ExitCode.USAGE
    assert "a host or a port that cannot be" in result.stderr


def test_an_archive_url_that_cannot_be_is_a_usage_error() -> None:
    result = invoke("ls", "s3://[bucket/x")

    assert result.exit_code == ExitCode.USAGE
    assert "a host that cannot be" in result.stderr
