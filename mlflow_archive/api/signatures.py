"""Signatures of models: what goes in and what comes out, as MLflow keeps it with a model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from mlflow_archive.api.checked import at_least_one

if TYPE_CHECKING:
    from mlflow_archive.operations.signatures import UnsignedVersion
    from mlflow_archive.spec.canonical import JSONObject


def get_model_signature(
    model_uri: str,
    tracking_uri: str | None = None,
    *,
    artifact_roots: Mapping[str, str] | None = None,
    artifact_options: Mapping[str, object] | None = None,
) -> JSONObject | None:
    """Return the signature of a model; only its ``MLmodel`` file is read.

    Args:
        model_uri: ``runs:/<run>/<path>``, ``models:/<name>/<version or stage>``, ``models:/<name>@<alias>``,
            ``models:/m-<id>``, ``mlflow-artifacts:/...``, or the model's folder: a path or a URL, which needs no
            server.
        tracking_uri: The MLflow server or store; None is MLflow's own default.
        artifact_roots: Artifact URI prefix of the server -> where its files really are.
        artifact_options: Passed to the storage backend of the server's artifacts.

    Returns:
        ``inputs``, ``outputs`` and ``params``, each the JSON that MLflow keeps as a text; None if the model has no
        signature.

    Raises:
        NotFoundError: There is no such model, or it has no ``MLmodel`` file.
        UsageError: The URI names no model.
        IntegrityError: The ``MLmodel`` file is not what it should be.
        NotAuthorisedError: The server or the store refused the credentials.
        UnavailableError: The server or the store does not answer.
    """
    from mlflow_archive.operations.ends import ArtifactPlaces
    from mlflow_archive.operations.signatures import get_signature as run

    return run(model_uri, tracking_uri, artifacts=ArtifactPlaces(artifact_roots, artifact_options))


def set_model_signature(
    model_uri: str,
    input_file: str,
    output_file: str | None = None,
    *,
    overwrite: bool = False,
    tracking_uri: str | None = None,
    artifact_roots: Mapping[str, str] | None = None,
    artifact_options: Mapping[str, object] | None = None,
) -> JSONObject:
    """Infer a signature from samples, as MLflow does, and write it into a model's ``MLmodel`` file.

    The lines of the signature are written, every other line of the file stays. A version of a registered model shows
    it too where its files are the run's or the logged model's.

    Args:
        model_uri: As for `get_model_signature`, but no version of a registered model: its files are those of a run or
            a logged model, which has to be named.
        input_file: Path of a CSV file with samples of what goes in.
        output_file: Path of a CSV file with what the model predicts; None leaves the outputs out.
        overwrite: Replace a signature that is there.
        tracking_uri: The MLflow server or store; None is MLflow's own default.
        artifact_roots: Artifact URI prefix of the server -> where its files really are.
        artifact_options: Passed to the storage backend of the server's artifacts.

    Returns:
        The new signature, as `get_model_signature` returns it.

    Raises:
        ConflictError: The model has a signature, and ``overwrite`` is false.
        NotFoundError: There is no such model.
        UsageError: The URI names no model whose files can be written, or a file cannot be read as CSV.
        UnsupportedError: pandas, with which MLflow infers, is not installed.
        NotAuthorisedError: The server or the store refused the credentials.
        UnavailableError: The server or the store does not answer.
    """
    from mlflow_archive.operations.ends import ArtifactPlaces
    from mlflow_archive.operations.signatures import set_signature as run

    return run(
        model_uri,
        tracking_uri,
        input_file=input_file,
        output_file=output_file,
        overwrite=overwrite,
        artifacts=ArtifactPlaces(artifact_roots, artifact_options),
    )


def model_versions_without_signatures(
    tracking_uri: str | None = None,
    *,
    filter_string: str | None = None,
    parallelism: int = 8,
    artifact_roots: Mapping[str, str] | None = None,
    artifact_options: Mapping[str, object] | None = None,
) -> Iterator[UnsignedVersion]:
    """Yield the versions of registered models that have no signature, or of which nobody can tell.

    They come while the server is still being asked, by name, the newest version of each model first.

    Args:
        tracking_uri: The MLflow server or store; None is MLflow's own default.
        filter_string: MLflow's filter for model versions, e.g. ``name = 'iris'``.
        parallelism: How many ``MLmodel`` files are read at once.
        artifact_roots: Artifact URI prefix of the server -> where its files really are.
        artifact_options: Passed to the storage backend of the server's artifacts.

    Raises:
        UsageError: The server refuses the filter.
        NotAuthorisedError: The server or the store refused the credentials.
        UnavailableError: The server does not answer.
    """
    from mlflow_archive.operations.ends import ArtifactPlaces
    from mlflow_archive.operations.signatures import unsigned_versions as run

    return run(
        tracking_uri,
        filter_string=filter_string,
        parallelism=at_least_one(parallelism),
        artifacts=ArtifactPlaces(artifact_roots, artifact_options),
    )
