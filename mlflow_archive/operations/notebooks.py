"""Download: a notebook of a Databricks workspace, in several forms, to a folder anywhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass

from mlflow_archive.errors import ExitCode, MlflowArchiveError, NotAuthorisedError, UsageError
from mlflow_archive.operations.ends import server
from mlflow_archive.spec.canonical import JSONObject


@dataclass(frozen=True, slots=True)
class DownloadReport:
    """What was downloaded.

    Attributes:
        notebook: Its path in the workspace.
        folder: Where its files are, as a URL without credentials.
        files: Form -> name of the file.
        failed: Form -> why there is no file of it.
    """

    notebook: str
    folder: str
    files: Mapping[str, str]
    failed: Mapping[str, str]

    @property
    def exit_code(self) -> ExitCode:
        """What the process should end with."""
        return ExitCode.LOSSES if self.failed else ExitCode.DONE

    def to_json(self) -> JSONObject:
        """Return the report as JSON."""
        return {
            "notebook": self.notebook,
            "folder": self.folder,
            "files": {**self.files},
            "failed": {**self.failed},
        }


def download_notebook(
    notebook: str,
    output_url: str,
    *,
    revision: str | None,
    formats: Sequence[str],
    tracking_uri: str | None,
    storage_options: Mapping[str, object] | None,
) -> DownloadReport:
    """Write a notebook to files; see `mlflow_archive.api.download_notebook`."""
    from mlflow_archive.storage.opening import open_store
    from mlflow_archive.tracking.databricks.client import DatabricksClient
    from mlflow_archive.tracking.databricks.notebooks import export_notebook, file_name

    files, failed, last = {}, {}, None
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_store(output_url, storage_options=storage_options)))
        client = stack.enter_context(server(tracking_uri, parallelism=1, read_only=True))
        if not isinstance(client, DatabricksClient):
            raise UsageError(
                f"Notebooks are in Databricks workspaces, and {client.uri} is none: give databricks://profile."
            )
        for form in formats:
            try:
                data = export_notebook(client, notebook, revision or "", form)
            except NotAuthorisedError:
                raise
            except MlflowArchiveError as error:
                failed[form], last = str(error), error
                continue
            name = f"{file_name(notebook)}.{form.lower()}"
            with store.write(name, size_bytes=len(data)) as writer:
                writer.write(data)
            files[form] = name
        if last is not None and not files:
            raise last
        return DownloadReport(notebook, store.url, files, failed)
