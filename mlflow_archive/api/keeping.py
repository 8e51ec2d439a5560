"""Archives and the places they are kept in: repack, doctor, and a demonstration."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from mlflow_archive.api.checked import at_least_one

if TYPE_CHECKING:
    from mlflow_archive.events import Observer
    from mlflow_archive.operations.demo import DemoReport
    from mlflow_archive.operations.doctor import DoctorReport
    from mlflow_archive.operations.repacked import RepackReport
    from mlflow_archive.storage.containers import Compression, Container


def repack(  # noqa: PLR0913 - the choices of a container
    src_url: str,
    dst_url: str,
    *,
    container: Container | None = None,
    compression: Compression | None = None,
    level: int | None = None,
    volume_bytes: int = 1 << 30,
    buffer_bytes: int = 256 << 20,
    max_bytes_per_second: float | None = None,
    parallelism: int = 8,
    resume: bool = False,
    storage_options: Mapping[str, object] | None = None,
    src_storage_options: Mapping[str, object] | None = None,
    dst_storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> RepackReport:
    """Copy an archive to another place and into another container; it stays the same archive, of the same root digest.

    Every file is held against its digest on the way. The archive appears at the new place with the last write.
    An archive of mlflow-export-import becomes one of this format, with losses for what of it cannot be read.

    Args:
        src_url: The archive, in any container.
        dst_url: The new place: an empty folder, or the name of a tarball.
        container: ``tree``, ``tarball`` or ``volumes``; None is what the name of ``dst_url`` says.
        compression: ``zstd``, ``gzip`` or ``none``, of a tarball or volumes; None is what the name says, else zstd.
        level: Of the compression.
        volume_bytes: Size at which a volume is ended and the next one begun.
        buffer_bytes: About how much memory all uploads together may take.
        max_bytes_per_second: Most bytes a second to the new place; None is no limit.
        parallelism: How many files are copied at once.
        resume: Go on with an interrupted repack at the same place: files that are there and have the right digest are
            not copied again. Not for a tarball.
        storage_options: Passed to the storage backends of both URLs; a local path takes none.
        src_storage_options: Instead of ``storage_options``, for ``src_url``.
        dst_storage_options: Instead of ``storage_options``, for ``dst_url``.
        observer: Told of progress.

    Returns:
        What was copied, with the root digest of both.

    Raises:
        UsageError: The request contradicts itself.
        NotAnArchiveError: There is no committed archive at ``src_url``.
        IntegrityError: A file of it is missing or damaged; nothing was committed.
        UnsupportedError: The archive's format is newer than this version of the tool.
        ConflictError: There is something at ``dst_url`` already.
        NotAuthorisedError: A store refused the credentials.
        UnavailableError: A store does not answer.
    """
    from mlflow_archive.operations.ends import options_of_both
    from mlflow_archive.operations.repack import repack as run
    from mlflow_archive.storage.containers import Packing

    src_options, dst_options = options_of_both(
        src_url, dst_url, storage_options, src_storage_options, dst_storage_options
    )
    return run(
        src_url,
        dst_url,
        packing=Packing(
            container=container,
            compression=compression,
            level=level,
            volume_bytes=volume_bytes,
            buffer_bytes=buffer_bytes,
            max_bytes_per_second=max_bytes_per_second,
        ),
        parallelism=at_least_one(parallelism),
        resume=resume,
        src_storage_options=src_options,
        dst_storage_options=dst_options,
        observer=observer,
    )


def doctor(
    url: str,
    *,
    seed: int = 0,
    parallelism: int = 8,
    storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> DoctorReport:
    """Try out a place for archives: what it can do, how fast it is, and what that means for backups.

    Everything is written below a folder ``.mlflow-archive-doctor-<random>`` of the place, and deleted at the end,
    also after an exception: about 110 MB go there and back.

    Args:
        url: A folder, which need not be there: a local path or a URL.
        seed: Of the bytes that are written.
        parallelism: How many small objects are written and read at once.
        storage_options: Passed to the storage backend.
        observer: Told of each step, as notes.

    Returns:
        Every check with its outcome, the figures, and what follows from them; a place that fails is returned, not
        raised.

    Raises:
        UsageError: The URL has no meaning.
        UnsupportedError: The package for the protocol is not installed.
        NotAuthorisedError: Nothing can be written there with these credentials.
        UnavailableError: The place does not answer.
    """
    from mlflow_archive.operations.doctor import doctor as run

    return run(
        url, seed=seed, parallelism=at_least_one(parallelism), storage_options=storage_options, observer=observer
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
