"""Which runs have no files: one listing of their experiment's root answers for many runs."""

from __future__ import annotations

from collections.abc import Sequence

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.tracking.artifact_contract import ArtifactAccess, ArtifactOwner

#: Where so large a part of the runs has files, the question is not worth its request.
_ENOUGH = 0.9
#: A listing of so many names costs the server more than it saves.
_MOST_NAMES = 50_000


class RunFiles:
    """Asks for the files of the runs of one experiment, group by group, for as long as it saves requests.

    Used from one thread.
    """

    def __init__(self, artifacts: ArtifactAccess, workspace: str | None) -> None:
        """Ask nothing yet."""
        self._artifacts = artifacts
        self._workspace = workspace
        self._useful = True

    def without_files(self, runs: Sequence[RunRecord]) -> frozenset[str]:
        """Return the ids of runs that have none; of the others nothing is known.

        To be asked after the runs were read: a run that ends in between would else lose files.
        """
        roots = {run.info.run_id: root for run in runs if (root := _experiment_root(run))}
        if not self._useful or len(roots) < 2:
            return frozenset()
        # An experiment can have one root only; a run that is elsewhere is asked for itself.
        root = next(iter(roots.values()))
        names = self._artifacts.present(root, self._workspace)
        if names is None:
            self._useful = False
            return frozenset()
        bare = frozenset(id for id, above in roots.items() if above == root and id not in names)
        self._useful = len(bare) > (1 - _ENOUGH) * len(runs) and len(names) <= _MOST_NAMES
        if bare and self._has_files(next(run for run in runs if run.info.run_id in bare)):
            self._useful = False
            return frozenset()
        return bare

    def _has_files(self, run: RunRecord) -> bool:
        """Ask for the files of one run as well: a server that hides what is in a folder must not cost files."""
        owner = ArtifactOwner(Kind.RUN, run.info.run_id, run.info.artifact_uri or "", self._workspace)
        return next(iter(self._artifacts.list(owner)), None) is not None


def _experiment_root(run: RunRecord) -> str | None:
    uri = run.info.artifact_uri or ""
    below = f"/{run.info.run_id}/artifacts"
    return uri.removesuffix(below) if uri.endswith(below) else None
