"""The exit codes as people read them; the same table ends every help text and stands in the README."""

from __future__ import annotations

from mlflow_archive.errors import ExitCode

MEANINGS: dict[ExitCode, str] = {
    ExitCode.DONE: "all done",
    ExitCode.FAILED: "failed; diff: the sides differ; doctor: no place for archives",
    ExitCode.USAGE: "the command line is wrong",
    ExitCode.LOSSES: "done, but something could not be read or written; every loss is listed",
    ExitCode.NOT_AUTHORISED: "credentials are missing or refused",
    ExitCode.INTEGRITY: "the archive violates its specification or its digests",
    ExitCode.NOT_AN_ARCHIVE: "no archive there, or an interrupted backup that was never committed",
    ExitCode.CONFLICT: "something is already there, or another writer won",
    ExitCode.UNSUPPORTED: "format version, feature or server ability not supported",
    ExitCode.INTERRUPTED: "interrupted; the same command can be run again and goes on",
}

ROWS: list[tuple[str, str]] = [(str(int(code)), meaning) for code, meaning in MEANINGS.items()]
