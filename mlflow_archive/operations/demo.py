"""Demo: the whole circle on an empty machine, with real stores.

objects -> store A (SQLite) -> archive -> verify -> store B (SQLite) -> compare A and B
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path

from mlflow_archive.errors import ConflictError, ExitCode
from mlflow_archive.events import Note, Observer, Silence
from mlflow_archive.operations.backup import archive
from mlflow_archive.operations.demo_objects import DemoObjects
from mlflow_archive.operations.diff import DiffReport, compare
from mlflow_archive.operations.ends import (
    AS_THE_SERVER_SAYS,
    ServerChoices,
    archive_source,
    connected,
    server,
    server_source,
)
from mlflow_archive.operations.report import Report
from mlflow_archive.operations.restore import bring
from mlflow_archive.operations.transfer import SerialisedObserver
from mlflow_archive.operations.verified import VerifyReport
from mlflow_archive.operations.verify import verify
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from mlflow_archive.tracking.capabilities import FIRST_VERSION_TAKING
from mlflow_archive.tracking.client import ServerClient

_PARALLELISM = 2


@dataclass(frozen=True, slots=True)
class DemoReport:
    """What the demonstration did; everything stays where it is, to be looked at.

    Attributes:
        directory: The folder of it all.
        source_uri: Tracking URI of the first store.
        archive_url: The archive.
        target_uri: Tracking URI of the second store.
        made: How the objects got into the first store.
        backup: How the archive was made.
        verified: What checking it found.
        restored: How the second store was made from it.
        diff: What comparing the two stores found.
        seconds: How long all of it took.
        left_out: Kind word -> the first MLflow that can hold it, for what the installed one cannot.
    """

    directory: str
    source_uri: str
    archive_url: str
    target_uri: str
    made: Report
    backup: Report
    verified: VerifyReport
    restored: Report
    diff: DiffReport
    seconds: float
    left_out: Mapping[str, str] = field(default_factory=dict)

    @property
    def ok(self) -> bool:
        """True if nothing was lost, the archive is sound, and both stores are the same."""
        return (
            not (self.made.losses or self.backup.losses or self.restored.losses or self.diff.losses)
            and self.verified.ok
            and self.diff.same
        )

    @property
    def exit_code(self) -> ExitCode:
        """What the command line exits with."""
        return ExitCode.DONE if self.ok else ExitCode.FAILED

    def to_json(self) -> JSONObject:
        """Return the report as one JSON object."""
        return {
            "ok": self.ok,
            "directory": self.directory,
            "source_uri": self.source_uri,
            "archive_url": self.archive_url,
            "target_uri": self.target_uri,
            "left_out": dict(self.left_out),
            "made": self.made.to_json(),
            "backup": self.backup.to_json(),
            "verified": {
                "ok": self.verified.ok,
                "level": self.verified.level,
                "objects": self.verified.objects,
                "files": self.verified.blobs,
                "problems": [str(problem) for problem in self.verified.problems],
            },
            "restored": self.restored.to_json(),
            "diff": self.diff.to_json(),
            "seconds": round(self.seconds, 3),
        }


def demo(directory: str | None, *, observer: Observer | None = None) -> DemoReport:
    """Go through the whole circle; see `mlflow_archive.api.demo`. Two private servers run meanwhile."""
    watcher = SerialisedObserver(observer or Silence())
    folder = _folder(directory)
    clock = time.monotonic()
    everything = Selection()
    source_uri, target_uri = (f"sqlite:///{folder / name}" for name in ("source.db", "target.db"))
    archive_url = str(folder / "archive")
    with ExitStack() as stack:
        watcher.notify(Note(f"Making a store with a few objects: {source_uri}"))
        # Opening a new store takes longer than all the rest, so the second one is opened meanwhile.
        pool = stack.enter_context(ThreadPoolExecutor(1, thread_name_prefix="demo"))
        opening = pool.submit(connected, target_uri, parallelism=_PARALLELISM, read_only=False)
        stack.callback(_close, opening)
        here = stack.enter_context(server(source_uri, parallelism=_PARALLELISM, read_only=False))
        left_out = {
            kind: FIRST_VERSION_TAKING[kind]
            for kind in DemoObjects().kinds()
            if not here.at_least(FIRST_VERSION_TAKING[kind])
        }
        made = bring(
            DemoObjects(without=left_out),
            here,
            everything,
            verb="restore",
            choices=ServerChoices(activate=True, source_uri="demo:objects"),
            parallelism=_PARALLELISM,
            observer=watcher,
        )
        watcher.notify(Note(f"Backing it up: {archive_url}"))
        source = stack.enter_context(server_source(here, AS_THE_SERVER_SAYS, parallelism=_PARALLELISM))
        store = stack.enter_context(closing(open_store(archive_url)))
        backup = archive(source, store, everything, parallelism=_PARALLELISM, observer=watcher)
        watcher.notify(Note("Verifying every byte of the archive"))
        verified = verify(store, "restorable", digest=backup.root_digest, parallelism=_PARALLELISM)
        watcher.notify(Note(f"Restoring it into a second store: {target_uri}"))
        there = opening.result()
        stored = stack.enter_context(archive_source(archive_url, storage_options=None))
        choices = ServerChoices(source_uri=stored.manifest.source.uri)
        restored = bring(
            stored, there, everything, verb="restore", choices=choices, parallelism=_PARALLELISM, observer=watcher
        )
        watcher.notify(Note("Comparing the two stores"))
        copy = stack.enter_context(server_source(there, AS_THE_SERVER_SAYS, parallelism=_PARALLELISM))
        difference = compare(source, copy, everything, parallelism=_PARALLELISM)
    return DemoReport(
        directory=str(folder),
        source_uri=source_uri,
        archive_url=archive_url,
        target_uri=target_uri,
        made=made,
        backup=backup,
        verified=verified,
        restored=restored,
        diff=difference,
        seconds=time.monotonic() - clock,
        left_out={kind.value: version for kind, version in left_out.items()},
    )


def _close(opening: Future[ServerClient]) -> None:
    if opening.cancel() or opening.exception() is not None:
        return
    opening.result().close()


def _folder(directory: str | None) -> Path:
    if directory is None:
        return Path(tempfile.mkdtemp(prefix="mlflow-archive-demo-"))
    folder = Path(directory).absolute()
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ConflictError(f"{folder} is not an empty folder; name another one, or none for a temporary one.")
    folder.mkdir(parents=True, exist_ok=True)
    return folder
