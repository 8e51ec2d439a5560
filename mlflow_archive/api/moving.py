"""Objects from one end to another: backup, restore, copy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from mlflow_archive.api.beyond import beyond_mlflow
from mlflow_archive.api.checked import at_least_one, chosen

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mlflow_archive.events import Observer
    from mlflow_archive.operations.policies import Bringing, SourceTags
    from mlflow_archive.operations.report import Report
    from mlflow_archive.operations.selecting import Wishes
    from mlflow_archive.spec.renaming import Renaming
    from mlflow_archive.spec.selection import Selection
    from mlflow_archive.storage.containers import Compression, Container
    from mlflow_archive.tracking.settings import Settings

IfExists = Literal["skip", "update", "fail", "duplicate"]


def backup(  # noqa: PLR0913 - the choices of a backup
    tracking_uri: str | None,
    dest_url: str,
    *,
    selection: Selection | None = None,
    parallelism: int = 8,
    resume: bool = False,
    dry_run: bool = False,
    container: Container | None = None,
    compression: Compression | None = None,
    level: int | None = None,
    volume_bytes: int = 1 << 30,
    buffer_bytes: int = 256 << 20,
    max_bytes_per_second: float | None = None,
    artifact_roots: Mapping[str, str] | None = None,
    storage_options: Mapping[str, object] | None = None,
    artifact_options: Mapping[str, object] | None = None,
    notebook_formats: tuple[str, ...] = (),
    permissions: bool = False,
    source_tags: SourceTags | None = None,
    secrets: tuple[str, ...] = (),
    auth_database: str | None = None,
    observer: Observer | None = None,
    **wishes: Unpack[Wishes],
) -> Report:
    """Write everything a server has, or a selection, into one archive.

    The server is only read. The archive appears with its last write; until then there is an interrupted backup that
    readers refuse and ``resume`` goes on with.

    Args:
        tracking_uri: The MLflow server or store; None is MLflow's own default (``MLFLOW_TRACKING_URI``, else the
            store in the current folder).
        dest_url: The folder of the archive, or the name of a tarball (``.tar``, ``.tar.gz``, ``.tar.zst``): a local
            path or a URL.
        selection: What is wanted, ready-made; excludes wishes.
        parallelism: How many objects are read at once.
        resume: Go on with an interrupted backup at the same place. Not for a tarball.
        dry_run: Count what would be stored and write nothing.
        container: ``tree``, ``tarball`` or ``volumes``; None is what the name of ``dest_url`` says.
        compression: ``zstd``, ``gzip`` or ``none``, of a tarball or volumes; None is what the name says, else zstd.
        level: Of the compression.
        volume_bytes: Size at which a volume is ended and the next one begun.
        buffer_bytes: About how much memory all uploads together may take.
        max_bytes_per_second: Most bytes a second to the place; None is no limit.
        artifact_roots: Artifact URI prefix of the server -> where the files really are, e.g.
            ``{"mlflow-artifacts:/": "s3://bucket/root"}``, to read them directly.
        storage_options: Passed to the storage backend of ``dest_url`` (endpoint, credentials ...).
        artifact_options: Passed to the storage backend of the server's artifacts.
        notebook_formats: Of a Databricks workspace: in which forms the notebook revision of each run is stored with
            its files, under ``notebooks/``: ``SOURCE``, ``HTML``, ``JUPYTER``, ``DBC``.
        permissions: Of a Databricks workspace: store the direct permissions of experiments and registered models.
        source_tags: Have a restore tell of the source in the tags of what it makes, in this layout. The archive tells
            it in any case, and a restore can be asked as well.
        secrets: Of a database: ``gateway-secrets``, ``webhook-secrets``, ``job-tokens``, ``password-hashes``, which are
            left empty in its tables unless they are named here.
        auth_database: The database of MLflow's basic authentication, whose tables come along; may be the same one.
        observer: Told of everything that happens.
        **wishes: What of the server is wanted; nothing given is everything.

    Returns:
        What was done; check ``status`` and ``losses``. ``root_digest`` pins the archive for `verify`.

    Raises:
        UsageError: The request contradicts itself.
        NotAuthorisedError: The server or the store refused the credentials.
        NotFoundError: The selection matches nothing.
        ConflictError: There is something at the place already.
        UnavailableError: The server or the store does not answer.
    """
    from mlflow_archive.operations.backup import backup as run
    from mlflow_archive.operations.ends import ArtifactPlaces
    from mlflow_archive.storage.containers import Packing

    return run(
        tracking_uri,
        dest_url,
        selection=chosen(selection, wishes),
        parallelism=at_least_one(parallelism),
        resume=resume,
        dry_run=dry_run,
        packing=Packing(
            container=container,
            compression=compression,
            level=level,
            volume_bytes=volume_bytes,
            buffer_bytes=buffer_bytes,
            max_bytes_per_second=max_bytes_per_second,
        ),
        artifacts=ArtifactPlaces(artifact_roots, artifact_options),
        beyond=beyond_mlflow(notebook_formats, permissions=permissions),
        source_tags=source_tags,
        secrets=secrets,
        auth_database=auth_database,
        storage_options=storage_options,
        observer=observer,
    )


def restore(  # noqa: PLR0913 - the choices of a restore
    src_url: str,
    tracking_uri: str | None = None,
    *,
    selection: Selection | None = None,
    if_exists: IfExists = "skip",
    rename_experiments: Mapping[str, str] | Renaming | None = None,
    rename_models: Mapping[str, str] | Renaming | None = None,
    activate: bool = False,
    exact: bool = False,
    move_artifacts: Mapping[str, str] | None = None,
    start_over: bool = False,
    auth_database: str | None = None,
    parallelism: int = 8,
    dry_run: bool = False,
    artifact_roots: Mapping[str, str] | None = None,
    storage_options: Mapping[str, object] | None = None,
    artifact_options: Mapping[str, object] | None = None,
    notebook_folder: str | None = None,
    permissions: bool = False,
    observer: Observer | None = None,
    **wishes: Unpack[Bringing],
) -> Report:
    """Bring everything in an archive, or a selection, to a server. A second restore finds what the first one made.

    Args:
        src_url: The archive.
        tracking_uri: The MLflow server or store; None is MLflow's own default.
        selection: What is wanted, ready-made; excludes wishes.
        if_exists: What to do with an object that is at the target already: leave it, bring it up to date, end with
            `ConflictError`, or make another one beside it.
        rename_experiments: Experiment name in the archive -> name at the target, or rules for beginnings of names
            (`mlflow_archive.Renaming`).
        rename_models: The same for registered models and prompts.
        activate: Switch on what acts by itself (webhooks, online scorers); otherwise it is restored switched off.
        exact: Bring the archive into the empty database that ``tracking_uri`` names; every id and time stays. From its
            tables; where it has none, or a part of it is asked for, from its objects. Repeated, it goes on where it was
            interrupted; from objects it begins anew.
        move_artifacts: With ``exact``: beginning of artifact addresses -> what takes its place; the files go there.
        start_over: With ``exact``: clear what an interrupted exact restore left, even that of another archive.
        auth_database: With ``exact``: the database of MLflow's basic authentication, for the users and permissions of
            the archive; may be the one of ``tracking_uri``.
        parallelism: How many objects are written at once.
        dry_run: Say what would be done and change nothing.
        artifact_roots: Artifact URI prefix of the server -> where its files really are.
        storage_options: Passed to the storage backend of ``src_url``.
        artifact_options: Passed to the storage backend of the server's artifacts.
        notebook_folder: At a Databricks workspace: import the notebooks that were stored in the form ``SOURCE`` into
            this folder, e.g. ``/Users/me@example.com/restored``.
        permissions: At a Databricks workspace: set the permissions that the archive has of what is made.
        observer: Told of everything that happens.
        **wishes: What of the archive is wanted; nothing given is everything. And how it is brought to the server:
            ``into_experiment``, ``replace``, ``source_tags`` and more (`mlflow_archive.operations.policies.Policies`).

    Returns:
        What was done; ``ids`` maps every object's id in the archive to its id at the target.

    Raises:
        UsageError: The request contradicts itself.
        NotAnArchiveError: There is no committed archive at the place.
        IntegrityError: The archive cannot be read at all. If less of it is damaged, the rest is restored, and
            ``damaged`` of the report is true; nothing damaged reaches the server.
        UnsupportedError: The archive's format is newer than this version of the tool.
        NotAuthorisedError: The server or the store refused the credentials.
        NotFoundError: The selection matches nothing.
        ConflictError: An object is there already and ``if_exists`` is ``fail``.
        UnavailableError: The server or the store does not answer.
    """
    from mlflow_archive.operations.ends import ArtifactPlaces
    from mlflow_archive.operations.exact import exact_choices, restore_or_exactly
    from mlflow_archive.operations.policies import make_choices, split

    wanted, policies = split(wishes)
    return restore_or_exactly(
        src_url,
        tracking_uri,
        exact=exact_choices(exact=exact, moves=move_artifacts, start_over=start_over, auth_uri=auth_database),
        selection=chosen(selection, wanted),
        choices=make_choices(
            policies,
            if_exists=if_exists,
            rename_experiments=rename_experiments,
            rename_models=rename_models,
            activate=activate,
            dry_run=dry_run,
            notebook_folder=notebook_folder,
            permissions=permissions,
        ),
        parallelism=at_least_one(parallelism),
        artifacts=ArtifactPlaces(artifact_roots, artifact_options),
        storage_options=storage_options,
        observer=observer,
    )


def copy(  # noqa: PLR0913 - the choices of a copy
    source_uri: str | None,
    target_uri: str | None,
    *,
    selection: Selection | None = None,
    if_exists: IfExists = "skip",
    rename_experiments: Mapping[str, str] | Renaming | None = None,
    rename_models: Mapping[str, str] | Renaming | None = None,
    activate: bool = False,
    parallelism: int = 8,
    dry_run: bool = False,
    source_artifact_roots: Mapping[str, str] | None = None,
    target_artifact_roots: Mapping[str, str] | None = None,
    artifact_options: Mapping[str, object] | None = None,
    source_settings: Settings | None = None,
    target_settings: Settings | None = None,
    notebook_formats: tuple[str, ...] = (),
    notebook_folder: str | None = None,
    permissions: bool = False,
    observer: Observer | None = None,
    **wishes: Unpack[Bringing],
) -> Report:
    """Bring everything a server has, or a selection, to another server, without anything in between.

    The arguments are those of `backup` for the source and of `restore` for the target. With the same server at both
    ends, ``if_exists="duplicate"`` or renames make clones. ``source_settings`` and ``target_settings`` are credentials
    of each end, in place of MLflow's variables (`mlflow_archive.api.copying.Between`).

    Raises:
        UsageError: The request contradicts itself.
        NotAuthorisedError: A server or a store refused the credentials.
        NotFoundError: The selection matches nothing.
        ConflictError: An object is there already and ``if_exists`` is ``fail``.
        UnavailableError: A server or a store does not answer.
    """
    from mlflow_archive.operations.copying import copy as run
    from mlflow_archive.operations.ends import ArtifactPlaces
    from mlflow_archive.operations.policies import make_choices, split

    wanted, policies = split(wishes)
    return run(
        source_uri,
        target_uri,
        selection=chosen(selection, wanted),
        choices=make_choices(
            policies,
            if_exists=if_exists,
            rename_experiments=rename_experiments,
            rename_models=rename_models,
            activate=activate,
            dry_run=dry_run,
            notebook_folder=notebook_folder,
            permissions=permissions,
        ),
        parallelism=at_least_one(parallelism),
        source_artifacts=ArtifactPlaces(source_artifact_roots, artifact_options),
        target_artifacts=ArtifactPlaces(target_artifact_roots, artifact_options),
        source_settings=source_settings,
        target_settings=target_settings,
        beyond=beyond_mlflow(notebook_formats, permissions=permissions),
        observer=observer,
    )
