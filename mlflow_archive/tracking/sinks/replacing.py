"""Deleting what is at the target to make room for what takes its place, and never anything that cannot be replaced."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from urllib.parse import quote

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Content, ObjectKey, Outcome, Status
from mlflow_archive.tracking.sinks.context import API3, SinkContext, attempt, text

_ACTIVE = ("Staging", "Production")


class Replacements:
    """Knows of which objects the target's own is to be deleted first: each name once in a restore."""

    def __init__(self, context: SinkContext) -> None:
        """Delete nothing yet."""
        self._context = context
        self._ours: set[ObjectKey] = set()

    def is_due(self, key: ObjectKey, name: str) -> bool:
        """Tell whether the target's object of this name is to be deleted, and see to it that it is so only once."""
        place = ObjectKey(key.kind, name, workspace=key.workspace)
        if key.kind not in self._context.options.replace or place in self._ours:
            return False
        self._ours.add(place)
        return True

    def plan(self, key: ObjectKey, name: str) -> Outcome:
        """Return what a dry run says about an object that would take the place of another."""
        what = str(key.kind).replace("_", " ")
        return Outcome(
            key, Status.STORED, reason=f"would delete the {what} {name!r} and create it anew", target_id=name
        )

    def registered_model(self, key: ObjectKey, name: str, versions: Iterable[JSONObject]) -> None:
        """Delete a registered model or a prompt; versions in use are archived first, as some registries demand."""
        for version in versions:
            if text(version, "current_stage") in _ACTIVE:
                body: JSONObject = {"name": name, "version": text(version, "version"), "stage": "Archived"}
                body["archive_existing_versions"] = False
                post = partial(self._context.post, "model-versions/transition-stage", body, workspace=key.workspace)
                # Where it does not go, the registry says at the deletion whether that matters.
                next(attempt(key, "stage", post), None)
        path = "/api/2.0/mlflow/registered-models/delete"
        self._context.client.call("DELETE", path, body={"name": name}, workspace=key.workspace)

    def evaluation_dataset(self, key: ObjectKey, dataset_id: str) -> None:
        """Delete an evaluation dataset with its records."""
        path = f"{API3}datasets/{quote(dataset_id, safe='')}"
        self._context.client.call("DELETE", path, workspace=key.workspace)


def read_through(content: Content) -> None:
    """Read all that belongs to an object once, to be sure that it can be read.

    Raises:
        MlflowArchiveError: It cannot, or not all of it; then nothing may be deleted for it.
    """
    for loss in content.losses:
        _refuse(loss)
    for part in content.parts:
        for _ in part.open():
            pass
    for blob in content.blobs():
        if isinstance(blob, Loss):
            _refuse(blob)
            continue
        with blob.open() as chunks:
            for _ in chunks:
                pass


def _refuse(loss: Loss) -> None:
    """Raise for what is there and cannot be read. What the source never had does not become more by waiting."""
    if loss.code == IntegrityError.code or loss.retryable:
        raise IntegrityError(f"Nothing was deleted at the target, because a part cannot be read: {loss.reason}")
