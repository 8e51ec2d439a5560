"""From a URL to an end: a server or an archive, as a source or as a sink.

Everything of the two floors below is imported when an end of its kind is asked for, so that looking into an archive
never imports MLflow.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from mlflow_archive.errors import NotAnArchiveError, UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.renaming import Renaming
from mlflow_archive.stream import Sink, Source

if TYPE_CHECKING:
    from mlflow_archive.archive.reader import ArchiveReader
    from mlflow_archive.events import Observer
    from mlflow_archive.predecessor.source import PredecessorSource
    from mlflow_archive.storage.containers import Packing
    from mlflow_archive.storage.store import Store
    from mlflow_archive.tracking.client import ServerClient
    from mlflow_archive.tracking.sinks.options import GivenPlace, SinkOptions

Options = Mapping[str, object] | None

#: Schemes of tracking URIs; any other URL is an archive's.
_SERVER_SCHEMES = ("http:", "https:", "databricks", "sqlite:", "postgresql", "mysql", "mssql")


@dataclass(frozen=True, slots=True)
class ArtifactPlaces:
    """Where a server's files really are, and how to get at them.

    Attributes:
        roots: Artifact URI prefix of the server -> URL of the place.
        storage_options: Passed to the storage backend of the places.
    """

    roots: Mapping[str, str] | None = None
    storage_options: Options = None


@dataclass(frozen=True, slots=True)
class ServerChoices:
    """How objects are brought to a server; see `mlflow_archive.api.restore` and `policies.Policies`.

    Attributes:
        only_names: For a kind, the name that the one object of it takes at the target.
        version_places: For a model version's number at the source, where its files are for the target; they stay there.
        version_tags: Further tags for every new version of a registered model.
        source_tags: The prefix itself (`provenance.SOURCE_TAG_PREFIXES`).
        source_uri: Kept in the provenance tags of what is made.
        notebook_folder: Folder of a Databricks workspace that exported notebooks are imported into.
        permissions: Set the direct permissions that the archive knows of, at a Databricks workspace.
    """

    if_exists: Literal["skip", "update", "fail", "duplicate"] = "skip"
    rename_experiments: Renaming = field(default_factory=Renaming)
    rename_models: Renaming = field(default_factory=Renaming)
    experiment_prefix: str = ""
    into_experiment: str | None = None
    experiment_tags: bool = True
    only_names: Mapping[Kind, str] = field(default_factory=dict)
    replace: frozenset[Kind] = frozenset()
    create_models: bool = True
    append_versions: bool = False
    version_places: Mapping[int, GivenPlace] = field(default_factory=dict)
    version_tags: Mapping[str, str] = field(default_factory=dict)
    stages_and_aliases: bool = True
    registry_metadata: bool = True
    source_tags: str | None = None
    keep_user: bool = True
    edit_mlmodels: bool = True
    await_versions_s: int = 0
    activate: bool = False
    dry_run: bool = False
    source_uri: str = ""
    notebook_folder: str | None = None
    permissions: bool = False


@dataclass(frozen=True, slots=True)
class WorkspaceWishes:
    """What is asked of a source beyond MLflow; only a Databricks workspace has it.

    Attributes:
        notebook_formats: In which forms the notebook revision of a run comes along: ``SOURCE``, ``HTML``,
            ``JUPYTER``, ``DBC``.
        permissions: Read the direct permissions of experiments and registered models.
    """

    notebook_formats: tuple[str, ...] = ()
    permissions: bool = False


#: Kinds whose objects at a target can be deleted to make room.
REPLACEABLE = frozenset({Kind.REGISTERED_MODEL, Kind.PROMPT, Kind.EVALUATION_DATASET})
#: Files are where the server says.
AS_THE_SERVER_SAYS = ArtifactPlaces()
#: Leave alone what is there, switch nothing on.
CAREFUL = ServerChoices()
#: What every MLflow server has.
MLFLOW_ALONE = WorkspaceWishes()


@contextmanager
def server(uri: str | None, *, parallelism: int, read_only: bool) -> Iterator[ServerClient]:
    """Connect to a server or open a store; leaving the context ends the connection."""
    with closing(connected(uri, parallelism=parallelism, read_only=read_only)) as client:
        yield client


def connected(uri: str | None, *, parallelism: int, read_only: bool) -> ServerClient:
    """Connect to a server or open a store; the caller closes it."""
    from mlflow_archive.tracking.connecting import connect

    return connect(uri, parallelism=parallelism, read_only=read_only)


@contextmanager
def read_server(uri: str | None, *, parallelism: int, **of_database: Any) -> Iterator[ServerClient]:
    """Connect to a server that is only read, as a source; a database is read by SQL, without a server."""
    from mlflow_archive.tracking.connecting import connect_source

    with closing(connect_source(uri, parallelism=parallelism, **of_database)) as client:
        yield client


@contextmanager
def server_source(
    client: ServerClient, artifacts: ArtifactPlaces, *, parallelism: int, beyond: WorkspaceWishes = MLFLOW_ALONE
) -> Iterator[Source]:
    """Read from a server that is connected; leaving the context ends the connection as well.

    Raises:
        UsageError: The wishes beyond MLflow are for a Databricks workspace, and this is none.
    """
    from mlflow_archive.tracking.artifacts import open_artifacts
    from mlflow_archive.tracking.databricks.attaching import files_at, source_at
    from mlflow_archive.tracking.filestore.attaching import with_losses
    from mlflow_archive.tracking.sources.source import MlflowSource

    with closing(
        files_at(client, open_artifacts(client, roots=artifacts.roots or {}, storage_options=artifacts.storage_options))
    ) as files:
        plain = with_losses(client, MlflowSource(client, files, parallelism=parallelism))
        yield source_at(client, plain, notebook_formats=beyond.notebook_formats, permissions=beyond.permissions)


@contextmanager
def server_sink(
    client: ServerClient, artifacts: ArtifactPlaces, choices: ServerChoices, *, parallelism: int, observer: Observer
) -> Iterator[Sink]:
    """Write to a server that is connected; leaving the context leaves the connection open.

    Raises:
        UsageError: A choice is for a Databricks workspace, and this is none.
    """
    from mlflow_archive.tracking.artifacts import open_artifacts
    from mlflow_archive.tracking.databricks.attaching import files_at, sink_at
    from mlflow_archive.tracking.sinks.sink import MlflowSink

    options = _sink_options(choices)
    with ExitStack() as stack:
        found = open_artifacts(client, roots=artifacts.roots or {}, storage_options=artifacts.storage_options)
        files = stack.enter_context(closing(files_at(client, found)))
        sink = MlflowSink(client, files, options, parallelism=parallelism, observer=observer)
        stack.enter_context(closing(sink))
        yield sink_at(
            client,
            sink,
            notebook_folder=choices.notebook_folder,
            permissions=choices.permissions,
            dry_run=choices.dry_run,
            observer=observer,
        )


def _sink_options(choices: ServerChoices) -> SinkOptions:
    from mlflow_archive.tracking.sinks.options import IfExists, SinkOptions

    return SinkOptions(
        if_exists=IfExists(choices.if_exists),
        rename_experiment=choices.rename_experiments,
        rename_model=choices.rename_models,
        experiment_prefix=choices.experiment_prefix,
        into_experiment=choices.into_experiment,
        experiment_tags=choices.experiment_tags,
        only_names=choices.only_names,
        replace=choices.replace,
        create_models=choices.create_models,
        append_versions=choices.append_versions,
        version_places=choices.version_places,
        version_tags=choices.version_tags,
        stages_and_aliases=choices.stages_and_aliases,
        registry_metadata=choices.registry_metadata,
        source_tags=choices.source_tags,
        keep_user=choices.keep_user,
        edit_mlmodels=choices.edit_mlmodels,
        await_versions_s=choices.await_versions_s,
        dry_run=choices.dry_run,
        activate=choices.activate,
        source_uri=choices.source_uri,
    )


def existing_store(url: str, *, storage_options: Options = None) -> Store:
    """Return the store of an archive that is there, in whichever container; the caller closes it.

    Raises:
        UsageError: The URL has no meaning.
        UnsupportedError: The place's package is not installed.
        NotAnArchiveError: A tarball is none, or was cut off.
        IntegrityError: A table of contents is damaged, and cannot be rebuilt.
    """
    from mlflow_archive.storage.containers import open_container

    return open_container(url, storage_options=storage_options)


def new_store(
    url: str,
    packing: Packing | None = None,
    *,
    storage_options: Options = None,
    parallelism: int = 8,
    resume: bool = False,
) -> Store:
    """Return the store for an archive that is to be written; the caller closes it.

    Args:
        url: A folder, or the tarball itself.
        packing: In which container, and how; None is what the URL's name says.
        storage_options: For the file system behind the URL.
        parallelism: How many threads will write.
        resume: An interrupted backup there is to be gone on with.

    Raises:
        UsageError: The URL or the packing has no meaning, or a tarball is to be gone on with.
        UnsupportedError: The place's package is not installed.
    """
    from mlflow_archive.storage.containers import TARBALL_ENDINGS, Packing, begin_container
    from mlflow_archive.storage.opening import public_url

    packing = packing or Packing()
    container = packing.container or ("tarball" if url.lower().endswith(tuple(TARBALL_ENDINGS)) else "tree")
    if resume and container == "tarball":
        raise UsageError(
            f"{public_url(url)} is one object, of which nothing is kept when its writing is interrupted, so that it "
            "cannot be gone on with: begin again without --resume, or use the container volumes, which can."
        )
    return begin_container(url, packing, storage_options=storage_options, parallelism=parallelism)


def options_of_both(
    src_url: str, dst_url: str, shared: Options, src_own: Options, dst_own: Options
) -> tuple[Options, Options]:
    """Return the storage options of two places: each its own, else the shared ones.

    A local path takes no options, so that the shared ones are the other place's alone.
    """
    src_local, dst_local = _is_local(src_url), _is_local(dst_url)
    src = src_own or (None if src_local and not dst_local else shared)
    dst = dst_own or (None if dst_local and not src_local else shared)
    return src, dst


def _is_local(url: str) -> bool:
    scheme, separator, _ = url.partition(":/")
    # One letter is a drive of Windows.
    return not separator or len(scheme) < 2 or "/" in scheme or scheme.lower() in ("file", "local")


@contextmanager
def archive_source(url: str, *, storage_options: Options) -> Iterator[ArchiveReader]:
    """Open a committed archive; leaving the context closes it and its store."""
    from mlflow_archive.archive.reader import ArchiveReader

    with (
        closing(existing_store(url, storage_options=storage_options)) as store,
        closing(ArchiveReader.open(store)) as it,
    ):
        yield it


@contextmanager
def stored_source(url: str, *, storage_options: Options) -> Iterator[ArchiveReader | PredecessorSource]:
    """Open an archive of ours or of mlflow-export-import; leaving the context closes it and its store.

    What has the marker is ours; what has one of the predecessor's lists or documents is the predecessor's.

    Raises:
        NotAnArchiveError: It is neither, or a backup that was interrupted.
        IntegrityError: It is ours and damaged.
    """
    with ExitStack() as stack:
        source: ArchiveReader | PredecessorSource
        # Of ours none is a zip, which would be taken for a damaged tarball.
        found = predecessor_at(url, storage_options=storage_options) if _is_zip(url) else None
        if found is None:
            try:
                source = stack.enter_context(archive_source(url, storage_options=storage_options))
            except NotAnArchiveError as error:
                # Any finer code is of an archive of ours that is not whole.
                whole = error.code == type(error).code
                found = predecessor_at(url, storage_options=storage_options) if whole else None
                if found is None:
                    raise
        if found is not None:
            source = stack.enter_context(closing(found))
        yield source


def stored(url: str, *, storage_options: Options) -> Store | PredecessorSource:
    """Return the store of what is there, or an archive of mlflow-export-import as a source; the caller closes it.

    Raises:
        UsageError: The URL has no meaning.
        UnsupportedError: The place's package is not installed.
        NotAnArchiveError: A tarball or a zip is none, or was cut off.
        IntegrityError: A table of contents is damaged, and cannot be rebuilt.
    """
    from mlflow_archive.spec.layout import MARKER

    found = predecessor_at(url, storage_options=storage_options) if _is_zip(url) else None
    if found is not None:
        return found
    with ExitStack() as stack:
        store = stack.enter_context(closing(existing_store(url, storage_options=storage_options)))
        if store.size_bytes(MARKER) is None and (found := predecessor_at(url, storage_options=storage_options)):
            return found
        stack.pop_all()
        return store


def predecessor_at(url: str, *, storage_options: Options) -> PredecessorSource | None:
    """Open an archive of mlflow-export-import; None if there is none, which says nothing of other archives.

    Closing it closes its store.

    Raises:
        UsageError: The URL has no meaning.
        NotAnArchiveError: It is a zip, and none of mlflow-export-import.
        UnavailableError: The place does not answer.
        NotAuthorisedError: It refuses to be read.
    """
    from mlflow_archive.spec.layout import MARKER
    from mlflow_archive.storage.containers import TARBALL_ENDINGS, open_foreign
    from mlflow_archive.storage.packed.zip_reader import ZipReader

    if url.rstrip("/").lower().endswith(tuple(TARBALL_ENDINGS)):
        return None
    with ExitStack() as stack:
        store = stack.enter_context(closing(open_foreign(url, storage_options=storage_options)))
        if store.size_bytes(MARKER) is not None:
            return None
        from mlflow_archive.predecessor.source import PredecessorSource

        try:
            found = PredecessorSource.open(store)
        except NotAnArchiveError:
            if isinstance(store, ZipReader):
                raise
            return None
        stack.pop_all()
        return found


def _is_zip(url: str) -> bool:
    return url.rstrip("/").lower().endswith(".zip")


@contextmanager
def any_source(url: str, artifacts: ArtifactPlaces, *, parallelism: int, storage_options: Options) -> Iterator[Source]:
    """Open an archive or a server, whatever the URL is of (`is_server`)."""
    with ExitStack() as stack:
        if is_server(url):
            client = stack.enter_context(read_server(url, parallelism=parallelism))
            yield stack.enter_context(server_source(client, artifacts, parallelism=parallelism))
        else:
            yield stack.enter_context(stored_source(url, storage_options=storage_options))


def is_server(url: str) -> bool:
    """Tell a tracking URI from an archive's URL.

    HTTP, Databricks and database URIs are servers. A local path is a server's file store if it has an experiment or a
    registered model of one and no archive's marker; every other place is an archive.
    """
    if url.lower().startswith(_SERVER_SCHEMES):
        return True
    from mlflow_archive.tracking.filestore.folder import folder_of, is_file_store

    folder = folder_of(url)
    return folder is not None and not (folder / "mlflow-archive.json").exists() and is_file_store(folder)
