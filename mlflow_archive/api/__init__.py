"""The library's front door: backup, restore, copy, repack, and looking into archives.

    import mlflow_archive as ma

    report = ma.backup("http://mlflow:5000", "s3://bucket/backups/2026-01-31")
    assert report.status == "complete", report.losses
    with ma.open("s3://bucket/backups/2026-01-31") as archive:
        for run in archive.runs(experiment="iris"):
            print(run.info.run_name, run.params)

Nothing here prints, keeps global state, or asks questions; progress goes to an observer
(`mlflow_archive.events.Observer`). Everything raises `mlflow_archive.errors.MlflowArchiveError` and nothing else of
its own. MLflow itself is imported only by the calls that need a server.

Wishes (``experiments=``, ``models=``, ``since=`` ...) are the fields of `mlflow_archive.operations.selecting.Wishes`.
"""

from __future__ import annotations

from mlflow_archive.api.copying import copy_experiment, copy_model, copy_model_version, copy_run
from mlflow_archive.api.keeping import demo, doctor, repack
from mlflow_archive.api.looking import diff, ls, open, show, verify  # noqa: A004
from mlflow_archive.api.moving import backup, copy, restore
from mlflow_archive.api.notebooks import download_notebook
from mlflow_archive.api.signatures import (
    get_model_signature,
    model_versions_without_signatures,
    set_model_signature,
)

__all__ = [
    "backup",
    "copy",
    "copy_experiment",
    "copy_model",
    "copy_model_version",
    "copy_run",
    "demo",
    "diff",
    "doctor",
    "download_notebook",
    "get_model_signature",
    "ls",
    "model_versions_without_signatures",
    "open",
    "repack",
    "restore",
    "set_model_signature",
    "show",
    "verify",
]
