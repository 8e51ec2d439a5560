"""Notebooks of Databricks workspaces."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from mlflow_archive.api.beyond import beyond_mlflow
from mlflow_archive.errors import UsageError

if TYPE_CHECKING:
    from mlflow_archive.operations.notebooks import DownloadReport


def download_notebook(
    notebook: str,
    output_url: str,
    *,
    revision: str | None = None,
    formats: Sequence[str] = ("SOURCE",),
    tracking_uri: str | None = None,
    storage_options: Mapping[str, object] | None = None,
) -> DownloadReport:
    """Download a notebook of a Databricks workspace into a folder, a file for each form.

    Args:
        notebook: Its path in the workspace, e.g. ``/Users/me@example.com/train``.
        output_url: The folder: a local path or a URL. The files are ``<name>.source``, ``<name>.html`` and so on;
            those that are there are replaced.
        revision: The id of a revision; None is the notebook as it is now.
        formats: ``SOURCE``, ``HTML``, ``JUPYTER``, ``DBC``.
        tracking_uri: The workspace: ``databricks`` or ``databricks://profile``; None is MLflow's own default.
        storage_options: Passed to the storage backend of ``output_url``.

    Returns:
        The files, and the forms in which the workspace does not give the notebook away.

    Raises:
        NotFoundError: There is no such notebook, or no such revision.
        UsageError: A form is none, or the server is no workspace.
        NotAuthorisedError: The workspace or the store refused the credentials.
        UnavailableError: The workspace or the store does not answer.
    """
    from mlflow_archive.operations.notebooks import download_notebook as run

    words = beyond_mlflow(formats, permissions=False).notebook_formats
    if not words:
        raise UsageError("No form of the notebook is asked for; give SOURCE, HTML, JUPYTER or DBC.")
    return run(
        notebook,
        output_url,
        revision=revision,
        formats=words,
        tracking_uri=tracking_uri,
        storage_options=storage_options,
    )
