"""``export-all``."""

from __future__ import annotations

from typing import Any

from mlflow_archive.cli.known import choosing
from mlflow_archive.cli.known.exporting import Export, export_command, export_options
from mlflow_archive.spec.patterns import EVERYTHING


@export_command("export-all")
@choosing.registry_options()
@choosing.window_options()
@choosing.export_deleted_runs_option
@export_options(notebooks=True, permissions=True, source_tags=True)
def export_all(*, registry: dict[str, Any], window: dict[str, Any], export_deleted_runs: bool, export: Export) -> int:
    """Write everything a server has into an archive.

    All experiments with what is below them, the model registry, prompts, evaluation datasets, and whatever else the
    server has. Times narrow what comes from the experiments, never what a model version needs.
    """
    if any(window.values()):
        # By name, so that models bring what they need though it lies outside the times.
        window |= dict.fromkeys(("experiments", "models", "prompts", "datasets"), (EVERYTHING,))
    return export.run(deleted=export_deleted_runs, **registry, **window)
