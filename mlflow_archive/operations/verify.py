"""Verify an archive: every rule of the specification that can be checked from outside, all findings at once.

Three levels, each with all that is below it:

* ``complete``: documents are read, hashed and checked; of all other files only the listing is asked.
* ``valid``: every byte is read and hashed.
* ``restorable``: records, lines and the rows of tables are understood, references are followed.
"""

from __future__ import annotations

import hashlib
import re
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from dataclasses import replace

from mlflow_archive.archive.checking import Checker, Findings, Inventory, problems_of
from mlflow_archive.archive.sampling import Sampling
from mlflow_archive.archive.tables import NOT_READ, ReadRows, TableChecks
from mlflow_archive.archive.walking import LossKey, Progress, Walk, read_losses
from mlflow_archive.errors import (
    IntegrityError,
    UsageError,
)
from mlflow_archive.events import Note, Observer, Silence, TransferFinished, TransferStarted
from mlflow_archive.operations.ends import stored
from mlflow_archive.operations.verified import Sample, VerifyReport
from mlflow_archive.spec.descriptor import LOSSES_TYPE, MARKER_TYPE
from mlflow_archive.spec.layout import LOSSES, MANIFEST, MARKER
from mlflow_archive.spec.manifest import Manifest, Marker
from mlflow_archive.spec.rules import Level
from mlflow_archive.spec.version import FORMAT, READ_FEATURES, SPEC_MAJOR, SPEC_VERSION, VERIFY_FEATURES
from mlflow_archive.storage.opening import public_url
from mlflow_archive.storage.store import Store


def verify_at(
    url: str,
    level: Level,
    *,
    digest: str | None = None,
    sampling: Sampling | None = None,
    parallelism: int = 8,
    storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> VerifyReport:
    """Check what is at a URL, in any container; see `mlflow_archive.api.verify`.

    Raises:
        NotAnArchiveError: What should be a tarball is none, or was cut off.
    """
    _require_level(sampling, level)
    started = time.monotonic()
    try:
        found = stored(url, storage_options=storage_options)
    except IntegrityError as error:
        damage = Findings()
        damage.add_all(problems_of(error, public_url(url).rpartition("/")[2]))
        return _report(level, damage, Progress(observer or Silence()), "", None, None, started)
    with closing(found):
        if isinstance(found, Store):
            return verify(found, level, digest=digest, sampling=sampling, parallelism=parallelism, observer=observer)
        if digest is not None or sampling is not None:
            raise UsageError("An archive of mlflow-export-import has no digests: leave out the digest and the sample.")
        from mlflow_archive.operations import predecessor_verify

        return predecessor_verify.verify(found, level, parallelism=parallelism, observer=observer)


def verify(
    store: Store,
    level: Level = "restorable",
    *,
    digest: str | None = None,
    sampling: Sampling | None = None,
    parallelism: int = 8,
    observer: Observer | None = None,
) -> VerifyReport:
    """Check an archive.

    Args:
        store: The archive's root; stays open.
        level: How deep.
        digest: The root digest it must have, with or without ``sha256:``.
        sampling: Which parts and blobs are read, at level ``valid``; None is all.
        parallelism: How many files are read at once.
        observer: Told of progress, from the calling thread.

    Returns:
        All findings, up to 10,000 problems; an archive with problems is returned, not raised.

    Raises:
        UsageError: A sample with another level.
        NotAuthorisedError: The store refuses to be read.
        UnavailableError: The store does not answer.
    """
    _require_level(sampling, level)
    started = time.monotonic()
    watcher = observer or Silence()
    watcher.notify(TransferStarted(verb="verify", source=store.url, target="", dry_run=False))
    findings = Findings()
    progress = Progress(watcher)
    root_digest, manifest, notes = "", None, tuple[str, ...]()
    try:
        findings.add_all(store.problems(every_byte=level != "complete" and sampling is None))
        checker = Checker(store, Inventory(store), findings, canonical=level == "restorable")
        tables = TableChecks(checker, _row_reader())
        root_digest, manifest = _Root(checker, level, progress, tables, sampling).check(digest, parallelism)
        notes = (NOT_READ,) if tables.unread else ()
    except IntegrityError as error:  # the container itself is damaged, so that not even its files can be listed
        findings.add_all(problems_of(error, store.url.rpartition("/")[2]))
    return replace(_report(level, findings, progress, root_digest, manifest, sampling, started), notes=notes)


def _row_reader() -> ReadRows | None:
    """Return what reads the files of tables, None without pyarrow."""
    from mlflow_archive.tracking.database import parquet

    return parquet.read_rows if parquet.is_installed() else None


def _require_level(sampling: Sampling | None, level: Level) -> None:
    if sampling is not None and level != "valid":
        raise UsageError(
            f"A sample is taken at level valid, not at {level}: complete reads no files, and restorable needs all."
        )


def _report(
    level: Level,
    findings: Findings,
    progress: Progress,
    root_digest: str,
    manifest: Manifest | None,
    sampling: Sampling | None,
    started: float,
) -> VerifyReport:
    watcher = progress.observer
    sample = None
    if sampling is not None:
        sample = Sample(
            share=sampling.share,
            seed=sampling.seed,
            files=progress.hashed,
            files_total=progress.files,
            size_bytes=progress.hashed_bytes,
            size_bytes_total=progress.files_bytes,
        )
    if findings.truncated:
        watcher.notify(Note("There are more findings than are kept; the verification ended early."))
    report = VerifyReport(
        level=level,
        problems=findings.problems,
        warnings=findings.warnings,
        truncated=findings.truncated,
        objects=progress.objects,
        blobs=progress.blobs,
        size_bytes=progress.size_bytes,
        losses=manifest.losses.count if manifest else 0,
        root_digest=root_digest,
        seconds=time.monotonic() - started,
        sample=sample,
    )
    watcher.notify(
        TransferFinished(
            status="complete" if report.ok else "failed",
            stored=progress.objects,
            skipped=0,
            lost=0,
            size_bytes=progress.size_bytes,
            seconds=report.seconds,
        )
    )
    return report


class _Root:
    """Checks marker, manifest and losses, and has the sections walked."""

    def __init__(
        self, checker: Checker, level: Level, progress: Progress, tables: TableChecks, sampling: Sampling | None
    ) -> None:
        self._tables = tables
        self._checker = checker
        self._add = checker.findings.add
        self._level: Level = level
        self._progress = progress
        self._sampling = sampling

    def check(self, digest: str | None, parallelism: int) -> tuple[str, Manifest | None]:
        """Check everything; return the root digest and the manifest, as far as there are any."""
        inventory = self._checker.inventory
        if MANIFEST not in inventory:
            url = self._checker.store.url
            begun = f"the backup at {url} was interrupted and never completed; run it again with --resume"
            self._add("E005", MANIFEST, begun if MARKER in inventory else f"{url} has no manifest.json")
            return "", None
        marker = self._marker()
        if marker is not None and self._refused(marker):
            return "", None
        data = self._checker.read_bytes(MANIFEST) or b""
        inventory.claim(MANIFEST)
        self._progress.read(len(data))
        root_digest = hashlib.sha256(data).hexdigest()
        if digest is not None and digest.lower().removeprefix("sha256:") != root_digest:
            self._add("E044", MANIFEST, f"the root digest is {root_digest}, not the one given")
        manifest = self._checker.parsed(Manifest, data, MANIFEST) if data else None
        if manifest is None:
            return root_digest, None
        self._manifest(manifest, marker)
        losses = self._losses(manifest)
        walk = Walk(self._checker, self._level, self._progress, losses, self._tables, self._sampling)
        walk.sections(manifest.sections, parallelism)
        self._totals(manifest, walk)
        if not self._checker.findings.full:
            for path in inventory.unclaimed():
                self._add("W001", path, "no descriptor of the archive names this file")
        return root_digest, manifest

    def _marker(self) -> Marker | None:
        if MARKER not in self._checker.inventory:
            self._add("E001", MARKER, "the marker is missing")
            return None
        data = self._checker.read_bytes(MARKER)
        if data is None:
            return None
        self._progress.read(len(data))
        marker = self._checker.parsed(Marker, data, MARKER)
        if marker is not None and marker.format != FORMAT:
            self._add("E001", MARKER, f"the format is {marker.format[:80]!r}, not {FORMAT!r}")
        return marker

    def _refused(self, marker: Marker) -> bool:
        version = re.fullmatch(r"(\d{1,9})\.(\d{1,9})", marker.spec_version)
        if version is None or int(version[1]) > SPEC_MAJOR or int(version[1]) == 0:
            message = f"spec version {marker.spec_version[:80]!r} cannot be verified by this tool ({SPEC_VERSION})"
            self._add("E002", MARKER, message)
            return True
        if int(version[2]) > int(SPEC_VERSION.split(".")[1]):
            self._add("W002", MARKER, f"spec version {marker.spec_version} is newer than this tool's {SPEC_VERSION}")
        unknown = set(marker.features.verify) - VERIFY_FEATURES
        if self._level == "restorable":
            unknown |= set(marker.features.read) - READ_FEATURES
        for feature in sorted(unknown):
            self._add("E004", MARKER, f"the feature {feature[:80]!r} is not known to this tool")
        return bool(unknown)

    def _manifest(self, manifest: Manifest, marker: Marker | None) -> None:
        if manifest.format != FORMAT:
            self._add("E001", MANIFEST, f"the format is {manifest.format[:80]!r}, not {FORMAT!r}")
        if marker is not None:
            for name in ("archive_id", "spec_version"):
                if getattr(manifest, name) != getattr(marker, name):
                    self._add("E003", MANIFEST, f"{name} differs from the marker's")
        if (manifest.status == "partial") != (manifest.losses.count != 0):
            self._add("E030", MANIFEST, f"the status is {manifest.status!r} with {manifest.losses.count} losses")
        if not any(file.path == MARKER for file in manifest.files):
            self._add("E006", MANIFEST, "files does not name the marker")
            self._checker.inventory.claim(MARKER)
        for file in manifest.files:
            is_marker = file.path == MARKER
            if is_marker and MARKER not in self._checker.inventory:
                continue
            placed = self._checker.place(file, path=file.path, media_type=MARKER_TYPE if is_marker else None)
            if placed and (is_marker or self._level != "complete"):
                self._checker.hash(file)
                self._progress.read(0 if is_marker else file.size_bytes)  # the marker was read before

    def _losses(self, manifest: Manifest) -> set[LossKey] | None:
        """Check ``losses.jsonl``; return the losses, None if they cannot be known."""
        summary = manifest.losses
        if (summary.descriptor is None) != (summary.count == 0):
            self._add("E038", MANIFEST, f"{summary.count} losses, and losses.jsonl is {_there(summary.descriptor)}")
        if summary.descriptor is None:
            if sum(summary.by_code.values()) != summary.count:
                self._add("E038", MANIFEST, "losses.by_code does not add up to losses.count")
            return set() if summary.count == 0 else None
        if not self._checker.place(summary.descriptor, path=LOSSES, media_type=LOSSES_TYPE):
            return None
        codes: Counter[str] = Counter()
        found = read_losses(self._checker, summary.descriptor, codes)
        self._progress.read(summary.descriptor.size_bytes)
        if found is not None and (sum(codes.values()) != summary.count or dict(codes) != summary.by_code):
            self._add("E038", LOSSES, f"there are {sum(codes.values())} losses, the manifest counts {summary.count}")
        return found

    def _totals(self, manifest: Manifest, walk: Walk) -> None:
        stored = {kind.value: number for kind, number in walk.stored.items()}
        for kind in sorted({*stored, *manifest.counts}) if walk.whole else ():
            said = manifest.counts[kind].stored if kind in manifest.counts else None
            if said != stored.get(kind, 0):
                self._add(
                    "E031", MANIFEST, f"counts of {kind}: stored is {said}, the indexes have {stored.get(kind, 0)}"
                )
        total = sum(section.total_bytes for section in manifest.sections)
        if total != manifest.total_bytes:
            self._add("E036", MANIFEST, f"total_bytes is {manifest.total_bytes}, the sections have {total}")


def _there(value: object) -> str:
    return "not there" if value is None else "there"
