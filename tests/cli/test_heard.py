"""What is said through ``logging`` while a command runs: a line for people, JSON among events, little when quiet."""

from __future__ import annotations

import json
import logging
import warnings
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mlflow_archive import api
from mlflow_archive.cli.heard import warnings_told
from mlflow_archive.cli.main import cli
from mlflow_archive.errors import UnavailableError
from mlflow_archive.storage import s3_bucket

RISK = "The service behind s3://bucket does not know If-None-Match"


def backup_that(monkeypatch: pytest.MonkeyPatch, say: Any, *arguments: str) -> Result:
    def call(*_: Any, **__: Any) -> Any:
        say()
        raise UnavailableError("The end.")

    monkeypatch.setattr(api, "backup", call)
    return CliRunner().invoke(cli, ["backup", "place", *arguments], prog_name="mlflow-archive")


def say_unlocked() -> None:
    s3_bucket.tell_unlocked.cache_clear()
    s3_bucket.tell_unlocked("bucket")


def library_says() -> None:
    logging.getLogger("some.library").warning("Retrying\nin %s s\x1b[2J", 3)


@pytest.mark.parametrize("flags", [(), ("--quiet",), ("-q",), ("--json",)])
def test_what_is_at_risk_is_a_line_also_when_quiet(monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]) -> None:
    result = backup_that(monkeypatch, say_unlocked, *flags)

    told, end = result.stderr.splitlines()
    assert told.startswith(f"Warning: {RISK}")
    assert end == "Error: The end."


@pytest.mark.parametrize("flags", [("--events",), ("--events", "--quiet"), ("--events", "--json")])
def test_among_events_it_is_one(monkeypatch: pytest.MonkeyPatch, flags: tuple[str, ...]) -> None:
    result = backup_that(monkeypatch, say_unlocked, *flags)

    told, end = [json.loads(line) for line in result.stderr.splitlines()]
    assert told["event"] == "warning"
    assert told["message"].startswith(RISK)
    assert end["event"] == "error"


def test_a_library_is_told_on_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    result = backup_that(monkeypatch, library_says)

    assert result.stderr == "Warning: Retrying in 3 s\N{REPLACEMENT CHARACTER}[2J\nError: The end.\n"


def test_a_library_is_not_told_when_quiet_unless_it_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    assert backup_that(monkeypatch, library_says, "--quiet").stderr == "Error: The end.\n"

    def fail() -> None:
        logging.getLogger("some.library").error("It broke.")

    assert backup_that(monkeypatch, fail, "--quiet").stderr == "Warning: It broke.\nError: The end.\n"


def test_python_warnings_are_events_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    def warn() -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("This is old.", DeprecationWarning, stacklevel=1)

    told, _ = [json.loads(line) for line in backup_that(monkeypatch, warn, "--events").stderr.splitlines()]
    assert told["event"] == "warning"
    assert "This is old." in told["message"]


def test_a_record_that_cannot_be_formatted_ends_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings_told(["backup", "place"]):
        logging.getLogger().handlers[-1].handle(
            logging.LogRecord("some.library", logging.WARNING, "", 1, "%d", ("no number",), None)
        )
    assert capsys.readouterr() == ("", "")


def test_nothing_stays_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    before = list(logging.getLogger().handlers), warnings.showwarning
    backup_that(monkeypatch, library_says, "--events")
    assert (list(logging.getLogger().handlers), warnings.showwarning) == before
