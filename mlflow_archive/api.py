"""The library's front door: backup, restore, copy, and looking into archives.

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

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal

from mlflow_archive.errors import UsageError

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mlflow_archive.events import Observer
    from mlflow_archive.operations.browsing import Archive
    from mlflow_archive.operations.demo import DemoReport
    from mlflow_archive.operations.diff import DiffReport
    from mlflow_archive.operations.listing import Listing
    from mlflow_archive.operations.report import Report
    from mlflow_archive.operations.selecting import Wishes
    from mlflow_archive.operations.verify import VerifyReport
    from mlflow_archive.spec.canonical import JSONObject
    from mlflow_archive.spec.rules import Level
    from mlflow_archive.spec.selection import Selection

IfExists = Literal["skip", "update", "fail", "duplicate"]


def backup(  # noqa: PLR0913 - the choices of a backup
    tracking_uri: str | None,
    dest_url: str,
    *,
    selection: Selection | None = None,
    parallelism: int = 8,
    resume: bool = False,
    dry_run: bool = False,
    artifact_roots: Mapping[str, str] | None = None,
    storage_options: Mapping[str, object] | None = None,
    artifact_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
    **wishes: Unpack[Wishes],
) -> Report:
    """Write everything a server has, or a selection, into one archive.

    The server is only read. The archive appears with its last write; until then there is an interrupted backup that
    readers refuse and ``resume`` goes on with.

    Args:
        tracking_uri: The MLflow server or store; None is MLflow's own default (``MLFLOW_TRACKING_URI``, else the
            store in the current folder).
        dest_url: The folder of the archive: a local path or a URL.
        selection: What is wanted, ready-made; excludes wishes.
        parallelism: How many objects are read at once.
        resume: Go on with an interrupted backup at the same place.
        dry_run: Count what would be stored and write nothing.
        artifact_roots: Artifact URI prefix of the server -> where the files really are, e.g.
            ``{"mlflow-artifacts:/": "s3://bucket/root"}``, to read them directly.
        storage_options: Passed to the storage backend of ``dest_url`` (endpoint, credentials ...).
        artifact_options: Passed to the storage backend of the server's artifacts.
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

    return run(
        tracking_uri,
        dest_url,
        selection=_selection(selection, wishes),
        parallelism=_at_least_one(parallelism),
        resume=resume,
        dry_run=dry_run,
        artifacts=ArtifactPlaces(artifact_roots, artifact_options),
        storage_options=storage_options,
        observer=observer,
    )


def restore(  # noqa: PLR0913 - the choices of a restore
    src_url: str,
    tracking_uri: str | None = None,
    *,
    selection: Selection | None = None,
    if_exists: IfExists = "skip",
    rename_experiments: Mapping[str, str] | None = None,
    rename_models: Mapping[str, str] | None = None,
    activate: bool = False,
    parallelism: int = 8,
    dry_run: bool = False,
    artifact_roots: Mapping[str, str] | None = None,
    storage_options: Mapping[str, object] | None = None,
    artifact_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
    **wishes: Unpack[Wishes],
) -> Report:
    """Bring everything in an archive, or a selection, to a server. A second restore finds what the first one made.

    Args:
        src_url: The archive.
        tracking_uri: The MLflow server or store; None is MLflow's own default.
        selection: What is wanted, ready-made; excludes wishes.
        if_exists: What to do with an object that is at the target already: leave it, bring it up to date, end with
            `ConflictError`, or make another one beside it.
        rename_experiments: Experiment name in the archive -> name at the target.
        rename_models: Registered model name in the archive -> name at the target.
        activate: Switch on what acts by itself (webhooks, online scorers); otherwise it is restored switched off.
        parallelism: How many objects are written at once.
        dry_run: Say what would be done and change nothing.
        artifact_roots: Artifact URI prefix of the server -> where its files really are.
        storage_options: Passed to the storage backend of ``src_url``.
        artifact_options: Passed to the storage backend of the server's artifacts.
        observer: Told of everything that happens.
        **wishes: What of the archive is wanted; nothing given is everything.

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
    from mlflow_archive.operations.ends import ArtifactPlaces, ServerChoices
    from mlflow_archive.operations.restore import restore as run

    return run(
        src_url,
        tracking_uri,
        selection=_selection(selection, wishes),
        choices=ServerChoices(
            if_exists=if_exists,
            rename_experiments=dict(rename_experiments or {}),
            rename_models=dict(rename_models or {}),
            activate=activate,
            dry_run=dry_run,
        ),
        parallelism=_at_least_one(parallelism),
        artifacts=ArtifactPlaces(artifact_roots, artifact_options),
        storage_options=storage_options,
        observer=observer,
    )


def copy(  # noqa: PLR0913 - the choices of a copy
    source_uri: str | None,
    target_uri: str,
    *,
    selection: Selection | None = None,
    if_exists: IfExists = "skip",
    rename_experiments: Mapping[str, str] | None = None,
    rename_models: Mapping[str, str] | None = None,
    activate: bool = False,
    parallelism: int = 8,
    dry_run: bool = False,
    source_artifact_roots: Mapping[str, str] | None = None,
    target_artifact_roots: Mapping[str, str] | None = None,
    artifact_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
    **wishes: Unpack[Wishes],
) -> Report:
    """Bring everything a server has, or a selection, to another server, without anything in between.

    The arguments are those of `backup` for the source and of `restore` for the target. With the same server at both
    ends, ``if_exists="duplicate"`` or renames make clones.

    Raises:
        UsageError: The request contradicts itself.
        NotAuthorisedError: A server or a store refused the credentials.
        NotFoundError: The selection matches nothing.
        ConflictError: An object is there already and ``if_exists`` is ``fail``.
        UnavailableError: A server or a store does not answer.
    """
    from mlflow_archive.operations.copying import copy as run
    from mlflow_archive.operations.ends import ArtifactPlaces, ServerChoices

    return run(
        source_uri,
        target_uri,
        selection=_selection(selection, wishes),
        choices=ServerChoices(
            if_exists=if_exists,
            rename_experiments=dict(rename_experiments or {}),
            rename_models=dict(rename_models or {}),
            activate=activate,
            dry_run=dry_run,
        ),
        parallelism=_at_least_one(parallelism),
        source_artifacts=ArtifactPlaces(source_artifact_roots, artifact_options),
        target_artifacts=ArtifactPlaces(target_artifact_roots, artifact_options),
        observer=observer,
    )


def open(url: str, *, storage_options: Mapping[str, object] | None = None) -> Archive:
    """Open an archive to look into it. Close it, or use it in a ``with`` statement.

    Args:
        url: The archive.
        storage_options: Passed to the storage backend.

    Raises:
        NotAnArchiveError: There is no committed archive at the place.
        IntegrityError: Its marker or manifest is damaged.
        UnsupportedError: Its format is newer than this version of the tool.
    """
    from mlflow_archive.operations.browsing import Archive

    return Archive.open(url, storage_options=storage_options)


def verify(
    url: str,
    *,
    level: Level = "valid",
    digest: str | None = None,
    parallelism: int = 8,
    storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> VerifyReport:
    """Check an archive against the specification.

    Args:
        url: The archive.
        level: ``complete`` reads the documents and asks for the sizes of files, ``valid`` reads and hashes every
            byte, ``restorable`` also understands every record and follows every reference.
        digest: The root digest that the archive must have (``Report.root_digest`` of its backup).
        parallelism: How many files are read at once.
        storage_options: Passed to the storage backend.
        observer: Told of progress.

    Returns:
        Every problem found; an archive with problems is returned, not raised.

    Raises:
        UsageError: ``parallelism`` is less than 1.
        NotAuthorisedError: The store refused the credentials.
        UnavailableError: The store does not answer.
    """
    from contextlib import closing

    from mlflow_archive.operations.ends import archive_store
    from mlflow_archive.operations.verify import verify as run

    with closing(archive_store(url, storage_options=storage_options)) as store:
        return run(store, level, digest=digest, parallelism=_at_least_one(parallelism), observer=observer)


def ls(
    url: str,
    *,
    kind: str | None = None,
    experiment: str | None = None,
    storage_options: Mapping[str, object] | None = None,
) -> Listing:
    """List what an archive holds.

    Args:
        url: The archive.
        kind: A kind word: the objects of this kind instead of the overview.
        experiment: Name or id: only what is below this experiment.
        storage_options: Passed to the storage backend.

    Raises:
        NotAnArchiveError: There is no committed archive at the place.
        NotFoundError: There is no such experiment in it.
        UsageError: There is no such kind.
    """
    from mlflow_archive.operations.listing import ls as run

    return run(url, kind=kind, experiment=experiment, storage_options=storage_options)


def show(
    url: str,
    name: str,
    *,
    kind: str | None = None,
    storage_options: Mapping[str, object] | None = None,
) -> JSONObject:
    """Return the whole document of one object of an archive.

    Args:
        url: The archive.
        name: The object's id or name.
        kind: Its kind word, where several kinds have an object of that name.
        storage_options: Passed to the storage backend.

    Raises:
        NotAnArchiveError: There is no committed archive at the place.
        NotFoundError: There is no such object in it.
        UsageError: Several objects have that name; the message lists them.
    """
    from mlflow_archive.operations.listing import show as run

    return run(url, name, kind=kind, storage_options=storage_options)


def diff(
    left: str,
    right: str,
    *,
    selection: Selection | None = None,
    artifacts: bool = True,
    parallelism: int = 8,
    storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
    **wishes: Unpack[Wishes],
) -> DiffReport:
    """Compare two ends, object by object: archives and servers in any combination.

    Objects are matched by id, or by the tags that a restore leaves on what it makes; what no restore can set (ids,
    times made by the server, artifact roots) is left out of the comparison, as listed in
    `mlflow_archive.operations.ignored.IGNORED`.

    Args:
        left: An archive's URL, or a server's.
        right: The other one.
        selection: What of both is compared, ready-made; excludes wishes.
        artifacts: False leaves files out of the comparison.
        parallelism: How many objects are read at once.
        storage_options: Passed to the storage backends.
        observer: Told of progress.
        **wishes: What of both is compared; nothing given is everything.
    """
    from mlflow_archive.operations.diff import diff as run

    return run(
        left,
        right,
        selection=_selection(selection, wishes),
        artifacts=artifacts,
        parallelism=_at_least_one(parallelism),
        storage_options=storage_options,
        observer=observer,
    )


def demo(directory: str | None = None, *, observer: Observer | None = None) -> DemoReport:
    """Make a small MLflow store, back it up, verify, restore into a second store, and compare. Under a minute.

    Args:
        directory: Where everything is left to look at; None is a new temporary folder, which stays as well.
        observer: Told of progress.

    Raises:
        ConflictError: The directory is not empty.
    """
    from mlflow_archive.operations.demo import demo as run

    return run(directory, observer=observer)


def _at_least_one(parallelism: int) -> int:
    if parallelism < 1:
        raise UsageError(f"parallelism is {parallelism}; give a number of 1 or more.")
    return parallelism


def _selection(selection: Selection | None, wishes: Wishes) -> Selection:
    from mlflow_archive.operations.selecting import make_selection

    if selection is None:
        return make_selection(**wishes)
    if wishes:
        raise UsageError(f"A ready-made selection takes no further wishes; leave {', '.join(sorted(wishes))} out.")
    return selection
