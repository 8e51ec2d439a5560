"""Doctor: can a place hold archives, how fast is it, and what does that mean for backups?"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass

from mlflow_archive.errors import ExitCode, MlflowArchiveError, NotAuthorisedError, UsageError
from mlflow_archive.events import Note, Observer, Silence
from mlflow_archive.operations.store_checks import Check, Patient, run_checks
from mlflow_archive.operations.store_speed import Extent, Figures, measure
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.storage.containers import TARBALL_ENDINGS
from mlflow_archive.storage.opening import open_store, public_url
from mlflow_archive.storage.store import Store

#: Everything is written below a folder of this name and some random digits.
FOLDER = ".mlflow-archive-doctor-"
#: What a tree of many small files is reckoned for.
MANY_FILES = 100_000
#: A tree whose files take longer than this is better packed.
TOO_LONG_SECONDS = 300
#: A request that takes longer than this is worth doing more at once.
SLOW_REQUEST_MS = 20

_MB = 1_000_000


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """What was found out about a place.

    Attributes:
        url: The place, without credentials.
        seed: Of the bytes that were written.
        checks: What was tried, in order.
        figures: How fast it is; None if that could not be measured.
        advice: What follows for backups, in sentences.
        left_behind: Keys that could not be deleted, at most 100.
    """

    url: str
    seed: int
    checks: tuple[Check, ...]
    figures: Figures | None
    advice: tuple[str, ...]
    left_behind: tuple[str, ...]

    @property
    def ok(self) -> bool:
        """True if the place can hold archives."""
        return not any(check.must and check.status != "passed" for check in self.checks)

    @property
    def exit_code(self) -> ExitCode:
        """0 for a good place; 4 where rights are missing; else 1."""
        if any(check.refused for check in self.checks):
            return ExitCode.NOT_AUTHORISED
        return ExitCode.DONE if self.ok else ExitCode.FAILED

    def to_json(self) -> JSONObject:
        """Return the report as one JSON object, every field present."""
        return {
            "ok": self.ok,
            "url": self.url,
            "seed": self.seed,
            "checks": [asdict(check) for check in self.checks],
            "figures": asdict(self.figures) if self.figures else None,
            "advice": list(self.advice),
            "left_behind": list(self.left_behind),
        }


def doctor(
    url: str,
    *,
    seed: int = 0,
    parallelism: int = 8,
    extent: Extent | None = None,
    storage_options: Mapping[str, object] | None = None,
    observer: Observer | None = None,
) -> DoctorReport:
    """Examine a place; see `mlflow_archive.api.doctor`. ``extent`` is how much is moved to measure."""
    if url.lower().endswith(tuple(TARBALL_ENDINGS)):
        raise UsageError(f"{public_url(url)} is the name of a tarball: give the folder that it is to be in.")
    watcher = observer or Silence()
    place = f"{url.rstrip('/')}/{FOLDER}{secrets.token_hex(8)}"

    def opened() -> Store:
        return open_store(place, storage_options=storage_options)

    left_behind: list[str] = []
    with _cleaned(opened, left_behind, watcher) as store:
        watcher.notify(Note(f"Trying out {public_url(url)}"))
        with _told_of(url, store), store.write("first") as writer:  # without that, nothing else is worth trying
            writer.write(b"first")
        patient = Patient(store, opened, random.Random(seed))  # noqa: S311 - test data
        checks = [*run_checks(patient, lambda title: watcher.notify(Note(f"  {title}")))]
        watcher.notify(Note("Measuring"))
        figures = None
        try:
            figures = measure(store, random.Random(seed), extent or Extent(), parallelism)  # noqa: S311 - test data
        except MlflowArchiveError as error:
            refused = isinstance(error, NotAuthorisedError)
            checks.append(Check("measuring", "bear many and big objects", True, "failed", str(error), refused))
    found = tuple(checks)
    return DoctorReport(
        url=public_url(url),
        seed=seed,
        checks=found,
        figures=figures,
        advice=tuple(_advice(found, figures, left_behind)),
        left_behind=tuple(left_behind),
    )


@contextmanager
def _cleaned(opened: Callable[[], Store], left_behind: list[str], watcher: Observer) -> Iterator[Store]:
    """Open the scratch folder, and delete everything in it whatever happens."""
    store = opened()
    with closing(store):
        try:
            yield store
        finally:
            watcher.notify(Note("Cleaning up"))
            _clean(store, left_behind)


@contextmanager
def _told_of(url: str, store: Store) -> Iterator[None]:
    """Let an error be about the place that was given: nobody knows the scratch folder in it."""
    try:
        yield
    except MlflowArchiveError as error:
        given = public_url(url).rstrip("/") or url
        message = str(error).replace(f"{store.url}/first", given).replace(store.url, given)
        error.args = (message,)
        raise


def _clean(store: Store, left_behind: list[str]) -> None:
    # What cannot be deleted is told in the report; an error here must not hide the one that ended the examination.
    with suppress(MlflowArchiveError):
        store.sweep()
    keys = []
    with suppress(MlflowArchiveError):
        keys = [found.key for found in store.list()]
    left_behind += [key for key in keys if not _deleted(store, key)][:100]
    with suppress(MlflowArchiveError):
        store.remove_folders()


def _deleted(store: Store, key: str) -> bool:
    try:
        store.delete(key)
    except MlflowArchiveError:
        return False
    return True


def _advice(checks: tuple[Check, ...], figures: Figures | None, left_behind: list[str]) -> Iterator[str]:
    failed = {check.name for check in checks if check.status == "failed"}
    if failed:
        yield "Do not keep archives here: a backup could be damaged, or lost, without anybody being told."
    if any(check.status == "absent" for check in checks):
        yield (
            "Two backups to the same place at the same time do not exclude each other: both could believe that theirs "
            "is the one that is there. Give every backup a place of its own, such as a folder with its date and time."
        )
    if figures is not None:
        yield from _pace(figures)
    if left_behind:
        yield f"{len(left_behind)} objects below {FOLDER}... could not be deleted: delete them by hand."


def _pace(figures: Figures) -> Iterator[str]:
    tree = MANY_FILES / figures.small_puts_per_second
    stream = 100_000 * _MB / figures.up_bytes_per_second
    reckoned = (
        f"{MANY_FILES:,} small files take about {_minutes(tree)} as a tree, one object each; "
        f"100 GB in big files about {_minutes(stream)} as one stream."
    )
    if tree > TOO_LONG_SECONDS:
        yield (f"{reckoned} Pack small files: --container volumes for large backups, a tarball (.tar.zst) for others.")
    else:
        yield f"{reckoned} A tree (the default) is quick enough here."
    if figures.put_ms_median > SLOW_REQUEST_MS:
        yield (
            f"A request takes {figures.put_ms_median:.0f} ms: where that is the way there and not this machine, "
            "--parallel 32 or more makes trees and restores quicker."
        )


def _minutes(seconds: float) -> str:
    if seconds < 90:
        return f"{max(1, round(seconds))} seconds"
    if seconds < 90 * 60:
        return f"{round(seconds / 60)} minutes"
    return f"{seconds / 3600:,.1f} hours"
