"""Restores the archives of `tests.predecessor.made` to fresh servers, and tells how these differ from the originals.

    python -m tests.predecessor.restored OUT --released PYTHON --newest PYTHON [--layout all]

``OUT`` and the two Pythons are those that `made` was given; the fresh servers run the MLflow of this Python. Printed as
tables: how many objects of each kind there were, are in the archive, and came back; how much of what the predecessor's
own import loses is equal (times, numbers of versions, aliases, stages, spans); what is lost, and each field that
differs, with the number of times and one example.
"""

from __future__ import annotations

import argparse
import re
import tempfile
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from mlflow_archive.api import restore
from mlflow_archive.operations.report import Report
from tests.comparison.compare import ABSENT, Difference, Row, compare_rows, dump
from tests.servers import SERVER_PYTHON, EmptyDatabases, MlflowServer

_ID = re.compile(r"[0-9a-f]{32}|d-[0-9a-f]+|\b\d+\b")


@dataclass(frozen=True)
class Account:
    """What became of one archive.

    Attributes:
        left: What was on the server that was exported.
        right: What is on the server that was restored to.
        report: What the restore said.
        differences: What is not equal.
    """

    left: list[Row]
    right: list[Row]
    report: Report
    differences: list[Difference]


def main() -> None:
    parser = argparse.ArgumentParser(description="Restore archives of mlflow-export-import, and compare.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--released", help="Python with mlflow-export-import 1.2.0")
    parser.add_argument("--newest", help="Python with its newest commit")
    parser.add_argument("--layout", default="all", help="which of the archives to restore (default: all)")
    options = parser.parse_args()
    for word in ("released", "newest"):
        python = getattr(options, word)
        if python:
            directory = options.out.resolve() / word
            print(f"## {word}: {options.layout}\n")
            for line in describe(account(directory / options.layout, directory / "server", python)):
                print(line)


def account(archive: Path, original: Path, python: str) -> Account:
    """Restore one archive to a fresh server and compare it with the server that it was made from.

    Args:
        archive: What the predecessor wrote.
        original: The directory of that server, which is started again.
        python: A Python with its MLflow.
    """
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with MlflowServer(original, python=python) as server:
            left = dump(server.uri, directory / "left", python)
        with MlflowServer(directory / "fresh", databases=EmptyDatabases(directory)) as server:
            report = restore(str(archive), server.uri)
            right = dump(server.uri, directory / "right", SERVER_PYTHON)
    return Account(left, right, report, compare_rows(left, right))


def describe(one: Account) -> Iterator[str]:
    """Yield the account as lines of Markdown."""
    yield from _counts(one)
    yield from _equal(one)
    yield "\nLosses and notes of the restore:\n"
    losses = Counter(
        (str(loss.kind), loss.code, _ID.sub("#", loss.path or ""), _ID.sub("#", loss.reason))
        for loss in one.report.losses
    )
    yield from (
        f"- {number} x {kind} {path} ({code}): {reason}"
        for (kind, code, path, reason), number in sorted(losses.items())
    )
    yield from (f"- {note}" for note in one.report.notes)
    yield "\nFields that differ:\n"
    fields: dict[str, list[Difference]] = defaultdict(list)
    for difference in one.differences:
        fields[f"{difference.kind}.{_ID.sub('#', difference.field)}".rstrip(".")].append(difference)
    yield from (f"- {len(found)} x {field}, e.g. {str(found[0])[:400]}" for field, found in sorted(fields.items()))
    yield ""


def _counts(one: Account) -> Iterator[str]:
    left, right = (Counter(row["kind"] for row in rows) for rows in (one.left, one.right))
    yield "| | exported server | restored server | the restore's own count |"
    yield "|---|---|---|---|"
    for kind in sorted(left.keys() | right.keys()):
        count = one.report.counts.get(kind)
        told = f"{count.stored} stored, {count.skipped} skipped, {count.lost} lost" if count else ""
        yield f"| {kind} | {left[kind]} | {right[kind]} | {told} |"


def _equal(one: Account) -> Iterator[str]:
    """Yield how many of the objects that came back have these as they were."""
    questions: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
        ("start and end times of runs", "run", lambda field: field in ("info.start_time", "info.end_time")),
        ("metric histories of runs", "run", lambda field: field.startswith("history")),
        ("files of runs", "run", lambda field: field.startswith("artifacts")),
        ("parents of runs", "run", lambda field: field == "data.tags.mlflow.parentRunId"),
        ("numbers of versions", "model_version", lambda field: field in ("", "version")),
        ("stages of versions", "model_version", lambda field: field == "current_stage"),
        ("aliases", "alias", lambda _: True),
        ("files of logged models", "logged_model", lambda field: field.startswith("artifacts")),
        ("metrics of logged models", "logged_model", lambda field: field.startswith("metrics")),
        ("times of traces", "trace", lambda field: field in ("request_time", "execution_duration_ms")),
        ("spans of traces", "trace", lambda field: field.startswith("spans")),
        ("assessments of traces", "trace", lambda field: field.startswith("assessments")),
        ("numbers of prompt versions", "prompt_version", lambda field: field in ("", "version")),
        ("templates of prompts", "prompt_version", lambda field: "template" in field or "mlflow.prompt.text" in field),
        ("aliases of prompt versions", "prompt_version", lambda field: field.startswith("aliases")),
        ("records of evaluation datasets", "dataset_record", lambda _: True),
    )
    yield "\n| equal | of |\n|---|---|"
    gone = {(one.kind, one.key) for one in one.differences if one.field == "" and one.right == ABSENT}
    for what, kind, asks in questions:
        keys = {" / ".join(row["key"]) for row in one.left if row["kind"] == kind}
        there = {key for key in keys if (kind, key) not in gone}
        unequal = {d.key for d in one.differences if d.kind == kind and d.key in there and asks(d.field)}
        if keys:
            yield f"| {what}: {len(there) - len(unequal)} | {len(keys)} |"


if __name__ == "__main__":
    main()
