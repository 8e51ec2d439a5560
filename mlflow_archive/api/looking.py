"""Looking into archives: open, verify, ls, show, diff."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlflow_archive.api.checked import at_least_one, chosen

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mlflow_archive.events import Observer
    from mlflow_archive.operations.browsing import Archive
    from mlflow_archive.operations.diff import DiffReport
    from mlflow_archive.operations.listed import Listing
    from mlflow_archive.operations.selecting import Wishes
    from mlflow_archive.operations.verified import VerifyReport
    from mlflow_archive.spec.canonical import JSONObject
    from mlflow_archive.spec.rules import Level
    from mlflow_archive.spec.selection import Selection


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
    sample: float | None = None,
    sample_seed: str = "",
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
        sample: At level ``valid``: read only this share, more than 0 and at most 1, of the files (artifacts, metric
            histories, spans, dataset records), chosen by their paths. Documents are always read.
        sample_seed: Another seed chooses other files; the same one the same.
        parallelism: How many files are read at once.
        storage_options: Passed to the storage backend.
        observer: Told of progress.

    Returns:
        Every problem found; an archive with problems is returned, not raised.

    Raises:
        UsageError: ``parallelism`` is less than 1, or ``sample`` is no share or does not go with the level.
        NotAnArchiveError: What should be a tarball is none, or was cut off.
        NotAuthorisedError: The store refused the credentials.
        UnavailableError: The store does not answer.
    """
    from mlflow_archive.archive.sampling import Sampling
    from mlflow_archive.operations.verify import verify_at as run

    return run(
        url,
        level,
        digest=digest,
        sampling=None if sample is None else Sampling(sample, sample_seed),
        parallelism=at_least_one(parallelism),
        storage_options=storage_options,
        observer=observer,
    )


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


def diff(  # noqa: PLR0913 - the choices of a comparison
    left: str,
    right: str,
    *,
    selection: Selection | None = None,
    artifacts: bool = True,
    parallelism: int = 8,
    storage_options: Mapping[str, object] | None = None,
    src_storage_options: Mapping[str, object] | None = None,
    dst_storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
    **wishes: Unpack[Wishes],
) -> DiffReport:
    """Compare two ends, object by object: archives and servers in any combination.

    Objects are matched by id, or by the tags that a restore leaves on what it makes; what no restore can set (ids,
    times made by the server, artifact roots) is left out of the comparison, as listed in
    `mlflow_archive.operations.ignored.IGNORED`.

    The tables of databases are compared only if nothing else is asked for (``only=("database",)``), and then row by
    row with every id; otherwise ``notes`` of the report say that they were not.

    Args:
        left: An archive's URL, a server's, or that of a database.
        right: The other one.
        selection: What of both is compared, ready-made; excludes wishes.
        artifacts: False leaves files out of the comparison.
        parallelism: How many objects are read at once.
        storage_options: Passed to the storage backends of both; a local path takes none.
        src_storage_options: Instead of ``storage_options``, for ``left``.
        dst_storage_options: Instead of ``storage_options``, for ``right``.
        observer: Told of progress.
        **wishes: What of both is compared; nothing given is everything.
    """
    from mlflow_archive.operations.diff import diff as run
    from mlflow_archive.operations.ends import options_of_both

    return run(
        left,
        right,
        selection=chosen(selection, wishes),
        artifacts=artifacts,
        parallelism=at_least_one(parallelism),
        storage_options=options_of_both(left, right, storage_options, src_storage_options, dst_storage_options),
        observer=observer,
    )
