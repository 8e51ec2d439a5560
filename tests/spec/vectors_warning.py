"""Vectors that break a SHOULD; each is named after the rule."""

from __future__ import annotations

import json

from tests.spec.building import Builder, Json
from tests.spec.worlds import (
    MODEL,
    RUN,
    bare_run,
    evaluation_dataset,
    experiment,
    logged_model,
    registered_model,
    run,
    small,
    trace,
)

GONE = "e" * 32


def warning() -> list[tuple[str, str, Builder]]:
    """Return name, sentence and archive of each."""
    return [
        ("W001-extra-file", "A file that nothing names.", small().on("files", _extra)),
        ("W002-newer-minor", "A later minor version, which may have more than is checked.", _newer()),
        ("W003-not-canonical", "A document whose keys are not sorted.", small().on(f"bytes {RUN}", _unsorted)),
        ("W003-line-with-spaces", "A metric line with white space.", small().on(f"part bytes {RUN}", _spaced)),
        ("W004-case", "Two files whose names differ only in case.", _colliding("A.txt", "a.txt")),
        ("W004-ids", "Two models whose names differ only in case.", _models("Model", "model")),
        ("W010-parent-run", "A child run whose parent is not there.", _run(tags={"mlflow.parentRunId": GONE})),
        ("W011-version-run", "A model version made by a run that is not in the archive.", _version(run_id=GONE)),
        (
            "W012-version-model",
            "A model version whose logged model is not there.",
            _version(model_id=MODEL),
        ),
        ("W013-source-run", "A logged model of a run that is not in the archive.", _logged()),
        ("W014-trace-run", "A trace of two runs that are not in the archive.", _trace()),
        ("W015-run-model", "A run whose output is not in the archive.", _run(model_outputs=[{"model_id": MODEL}])),
        (
            "W016-dataset-experiment",
            "A dataset of an unknown experiment.",
            Builder([evaluation_dataset("7")]),
        ),
        (
            "W017-alias",
            "An alias of an unknown version.",
            Builder([registered_model(aliases={"champion": 9})]),
        ),
    ]


def _extra(files: dict[str, bytes]) -> None:
    files["left-over.tmp"] = b"?\n"


def _newer() -> Builder:
    return small().on("marker", lambda marker: marker.update(spec_version="1.7"))


def _unsorted(data: bytes) -> bytes:
    document = json.loads(data)
    return (json.dumps(dict(sorted(document.items(), reverse=True)), indent=2) + "\n").encode()


def _spaced(data: bytes) -> bytes:
    return data.replace(b":", b": ")


def _colliding(*names: str) -> Builder:
    thing = run()
    thing.blobs = {("artifacts", name): name.encode() for name in names}
    return Builder([experiment(), thing])


def _models(*names: str) -> Builder:
    return Builder([registered_model(name) for name in names])


def _run(**fields: object) -> Builder:
    return Builder([experiment(), bare_run(**fields)])


def _version(**fields: object) -> Builder:
    version: Json = {"version": 1, "source": "s3://bucket/m", **fields}
    return Builder([registered_model(versions=[version])])


def _logged() -> Builder:
    return Builder([experiment(), logged_model(source_run_id=GONE)])


def _trace() -> Builder:
    thing = trace(run_ids=[GONE])
    thing.record["info"]["trace_metadata"]["mlflow.sourceRun"] = RUN
    return Builder([experiment(), thing])
