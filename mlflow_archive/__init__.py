"""Backup, restore and migration for MLflow.

The calls are documented in `mlflow_archive.api`; importing this package imports neither MLflow nor them.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from mlflow_archive.spec.version import TOOL_VERSION

if TYPE_CHECKING:
    from mlflow_archive.api import (
        backup,
        copy,
        copy_experiment,
        copy_model,
        copy_model_version,
        copy_run,
        demo,
        diff,
        doctor,
        download_notebook,
        get_model_signature,
        ls,
        model_versions_without_signatures,
        open,  # noqa: A004
        repack,
        restore,
        set_model_signature,
        show,
        verify,
    )
    from mlflow_archive.errors import (
        ConflictError,
        ExitCode,
        IntegrityError,
        MlflowArchiveError,
        NotAnArchiveError,
        NotAuthorisedError,
        NotFoundError,
        UnavailableError,
        UnsupportedError,
        UsageError,
    )
    from mlflow_archive.operations.browsing import Archive
    from mlflow_archive.operations.report import Report
    from mlflow_archive.operations.selecting import make_selection
    from mlflow_archive.spec.patterns import exactly
    from mlflow_archive.spec.renaming import Renaming
    from mlflow_archive.spec.selection import Selection

__version__ = TOOL_VERSION

__all__ = [
    "Archive",
    "ConflictError",
    "ExitCode",
    "IntegrityError",
    "MlflowArchiveError",
    "NotAnArchiveError",
    "NotAuthorisedError",
    "NotFoundError",
    "Renaming",
    "Report",
    "Selection",
    "UnavailableError",
    "UnsupportedError",
    "UsageError",
    "__version__",
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
    "exactly",
    "get_model_signature",
    "ls",
    "make_selection",
    "model_versions_without_signatures",
    "open",
    "repack",
    "restore",
    "set_model_signature",
    "show",
    "verify",
]

_HOMES = {
    "Archive": "mlflow_archive.operations.browsing",
    "Renaming": "mlflow_archive.spec.renaming",
    "Report": "mlflow_archive.operations.report",
    "Selection": "mlflow_archive.spec.selection",
    "exactly": "mlflow_archive.spec.patterns",
    "make_selection": "mlflow_archive.operations.selecting",
    **dict.fromkeys(
        (
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
        ),
        "mlflow_archive.api",
    ),
}


def __getattr__(name: str) -> object:
    """Import a public name when it is first asked for."""
    if name not in __all__ or name == "__version__":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(import_module(_HOMES.get(name, "mlflow_archive.errors")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """Return the public names as well as what is there."""
    return sorted({*globals(), *__all__})
