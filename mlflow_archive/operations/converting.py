"""An archive of mlflow-export-import as a new one of ours: what a backup does, with the old archive as the source."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import closing

from mlflow_archive.events import Observer
from mlflow_archive.operations.backup import archive
from mlflow_archive.operations.ends import existing_store, new_store
from mlflow_archive.operations.repacked import RepackReport
from mlflow_archive.predecessor.source import PredecessorSource
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.containers import Packing


def convert(
    source: PredecessorSource,
    dst_url: str,
    *,
    packing: Packing,
    parallelism: int = 8,
    resume: bool = False,
    storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> RepackReport:
    """Write all of an archive of mlflow-export-import into a new archive. Does not close the source.

    Args:
        source: The old archive.
        dst_url: The new place.
        packing: Its container.
        parallelism: How many objects are read at once.
        resume: Go on with what an interruption left.
        storage_options: Of the new place.
        observer: Told of everything that happens.

    Raises:
        ConflictError: Something is at the new place already.
        UsageError: The packing has no meaning.
    """
    started = time.monotonic()
    with closing(
        new_store(dst_url, packing, storage_options=storage_options, parallelism=parallelism, resume=resume)
    ) as store:
        report = archive(
            source, store, Selection(), parallelism=parallelism, resume=resume, verb="repack", observer=observer
        )
        url = store.url
    with closing(existing_store(dst_url, storage_options=storage_options)) as written:
        sizes = [found.size_bytes for found in written.list()]
    return RepackReport(
        source=source.describe().uri,
        target=url,
        root_digest=report.root_digest or "",
        objects=report.stored_count,
        files=len(sizes),
        size_bytes=sum(sizes),
        kept_files=0,
        kept_bytes=0,
        losses=len(report.losses),
        seconds=time.monotonic() - started,
        converted=True,
    )
