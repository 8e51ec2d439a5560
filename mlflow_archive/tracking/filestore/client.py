"""The client of a file store: answers by SQL, from the temporary database that it was migrated into."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import sqlalchemy as sa

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.tracking.artifact_routes import local_path
from mlflow_archive.tracking.child import end, environment_of, private_folder, start
from mlflow_archive.tracking.database.client import DatabaseClient
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.embedded import sqlite_artifact_roots
from mlflow_archive.tracking.filestore.folder import TRASH, losses_of, read_troubles

_NO_TABLES = "A file store has no tables, so that the archive holds its objects alone."
_MIGRATION = "mlflow_archive.tracking.filestore.migration"


class FileStoreClient(DatabaseClient):
    """Answers for the folder of a file store as it was when this was made.

    Attributes:
        root: The folder.
        losses: What of it could not be read.
        remarks: What a person should know of it.
    """

    def __init__(self, snapshot: Snapshot, root: Path, losses: tuple[Loss, ...], *, infinite: int) -> None:
        """Use `open_file_store`."""
        super().__init__(snapshot)
        self.root = root
        self.losses = losses
        self.uri = root.as_uri()
        # The tables are ours, not the store's.
        self.of_database = {}
        self.only_kinds = self.only_kinds - {Kind.DATABASE}
        moved = _moved(snapshot, root)
        self.artifact_roots: Mapping[str, str] = {**sqlite_artifact_roots(root.parent), **moved}
        self.remarks = (
            _NO_TABLES,
            *_moves_told(moved, root),
            *_infinite_told(infinite),
        )

    @property
    def experiment_names(self) -> Mapping[str, str]:
        """Id -> name of the experiments that could be read."""
        table = self.snapshot.tables["experiments"]
        return {str(id): name for id, name in self.snapshot.tuples(sa.select(table.c.experiment_id, table.c.name))}


def open_file_store(root: Path, *, parallelism: int = 8, work_directory: Path | None = None) -> FileStoreClient:
    """Read a file store; nothing in its folder is changed. The caller closes the client.

    Args:
        root: The folder (`folder.file_store`).
        parallelism: How many answers may be under way at once.
        work_directory: Where the temporary database is kept; by default the system's temporary folder.

    Raises:
        UnsupportedError: The installed MLflow cannot migrate file stores.
        UnavailableError: The migration failed; the last line of its log is told.
    """
    scratch = private_folder(work_directory)
    try:
        database, troubles = scratch / "store.db", scratch / "troubles.jsonl"
        order = {"root": str(root), "database": str(database), "troubles": str(troubles)}
        child, answer = start(
            _MIGRATION, order, subject=f"the file store {root}", scratch=scratch, environment=environment_of({})
        )
        losses = tuple(losses_of(read_troubles(troubles), root))
        snapshot = Snapshot.open(f"sqlite:///{database}", parallelism=parallelism, work_directory=work_directory)
        end(child)
    finally:
        shutil.rmtree(scratch, ignore_errors=True)
    return FileStoreClient(snapshot, root, losses, infinite=int(answer["infinite"]))


def _moved(snapshot: Snapshot, root: Path) -> dict[str, str]:
    """Return beginnings of artifact addresses -> where they lead, for folders that are not where they say.

    Those of a store that was moved or copied, of one of another machine, and of deleted experiments, which MLflow
    moves into its trash.
    """
    result: dict[str, str] = {}
    kept: set[str] = set()
    for id, location in _locations(snapshot):
        path, above = local_path(location), location.rstrip("/").removesuffix(f"/{id}")
        if path is None:
            continue
        here = Path(root.parent, path)
        if here.is_dir():
            kept.add(above)
            if not Path(path).is_absolute():  # it is relative to where the store is, not to where we are
                result[location.rstrip("/")] = str(here)
            continue
        place = next((place for place in (root / id, root / TRASH / id) if place.is_dir()), None)
        if place is not None:
            result[location.rstrip("/")] = str(place)
    # One beginning for all experiments, unless some are still where it leads.
    together = {old: old.removesuffix(f"/{Path(place).name}") for old, place in result.items()}
    for old, above in together.items():
        if above not in {*kept, old, ""} and Path(result[old]).parent == root:
            del result[old]
            result[above] = str(root)
    return result


def _locations(snapshot: Snapshot) -> Iterator[tuple[str, str]]:
    """Yield id and root of the experiments, and of runs that are elsewhere than their experiment."""
    experiments, runs = snapshot.tables["experiments"], snapshot.tables["runs"]
    location = experiments.c.artifact_location
    for id, uri in snapshot.tuples(sa.select(experiments.c.experiment_id, location).where(location.is_not(None))):
        yield str(id), uri
    begins = sa.func.substr(runs.c.artifact_uri, 1, sa.func.length(location) + 1) == location + "/"
    elsewhere = (
        sa.select(runs.c.experiment_id, runs.c.run_uuid, runs.c.artifact_uri)
        .join(experiments, experiments.c.experiment_id == runs.c.experiment_id)
        .where(runs.c.artifact_uri.is_not(None), sa.not_(sa.func.coalesce(begins, sa.false())))
    )
    for id, run_id, uri in snapshot.tuples(elsewhere):
        above = uri.removesuffix(f"/{run_id}/artifacts")
        if above != uri:
            yield str(id), above


def _moves_told(moved: Mapping[str, str], root: Path) -> Iterator[str]:
    for old in sorted(prefix for prefix, place in moved.items() if place == str(root)):
        yield f"Artifact addresses begin with {old}, which is not there: the files were read from {root}."


def _infinite_told(number: int) -> Iterator[str]:
    if number:
        yield (
            f"{number} infinite points of metrics became the largest number there is, 1.7976931348623157e308, as in "
            "every database of MLflow."
        )
