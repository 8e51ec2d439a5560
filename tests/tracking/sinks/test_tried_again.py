"""What failed for a passing reason is tried again by a repeated restore, and then never again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, cast

import pytest

from mlflow_archive.errors import MlflowArchiveError, UnavailableError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.stream import Status
from mlflow_archive.tracking.artifacts import ArtifactOwner
from mlflow_archive.tracking.http_client import HttpClient
from tests.tracking.sinks.making import ProxyArtifacts, Target, experiment, logged_model, registered_model, run

pytestmark = pytest.mark.server
New = Callable[..., str]


class _Deaf:
    """Artifacts of which one file cannot be written the first time."""

    def __init__(self, files: ProxyArtifacts, name: str) -> None:
        self._files = files
        self._left = {name}

    def write(self, owner: ArtifactOwner, name: str, data: Iterator[bytes], size_bytes: int | None) -> None:
        if name in self._left:
            self._left.discard(name)
            raise UnavailableError("The target did not take the file in time.")
        self._files.write(owner, name, data, size_bytes)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._files, name)


class _Clashing:
    """A client whose server refuses datasets because another run has just brought them, so many times."""

    def __init__(self, client: HttpClient, times: int) -> None:
        self._client = client
        self._left = times

    def call(self, method: str, path: str, **sent: Any) -> Any:
        if path.endswith("runs/log-inputs") and self._left:
            self._left -= 1
            raise MlflowArchiveError("(sqlite3.IntegrityError) UNIQUE constraint failed", code="bad_request")
        return self._client.call(method, path, **sent)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)


@pytest.mark.parametrize(("times", "lost"), [(2, []), (99, ["dataset_inputs"])])
def test_a_dataset_that_another_run_brings_at_the_same_moment(
    target: Target, new: New, times: int, lost: list[str]
) -> None:
    exp, a = new(), new()
    dataset = {"name": "d", "digest": new()[:8], "source_type": "code", "source": "{}", "schema": "", "profile": ""}
    items = [experiment(exp, exp), run(a, exp, dataset_inputs=[{"dataset": dataset, "tags": []}])]
    client = target.client
    target.client = cast("HttpClient", _Clashing(client, times))
    try:
        done = target.restore(items)
    finally:
        target.client = client
    assert [loss.path for loss in done.losses] == lost
    found = target.run(str(done.ids.get(Kind.RUN, a))).get("inputs", {}).get("dataset_inputs", [])
    assert len(found) == 1 - len(lost)


def test_what_may_succeed_later_is_tried_again_by_a_repeated_restore(target: Target, new: New) -> None:
    exp, a, gone, m = new(), new(), new(), "m-" + new()
    items = [
        experiment(exp, exp),
        run(a, exp, files={"kept.txt": b"1", "lost-run.txt": b"2"}),
        run(gone, exp, files={"lost-gone.txt": b"3"}, info={"lifecycle_stage": "deleted"}),
        logged_model(m, exp, files={"lost-model.txt": b"4"}),
        registered_model(
            exp,
            [{"version": "1", "source": "s3://gone/x"}],
            files={"lost-version.txt": b"5"},
            role="versions/1/artifacts",
        ),
    ]
    for late in ("lost-run.txt", "lost-gone.txt", "lost-model.txt", "lost-version.txt"):
        target.files = cast("ProxyArtifacts", _Deaf(target.files, late))
    try:
        first = target.restore(items)
        second = target.restore(items)
        third = target.restore(items)
    finally:
        while isinstance(target.files, _Deaf):
            target.files = target.files._files
    lost = {loss.path: loss.retryable for loss in first.losses}
    assert lost == dict.fromkeys(
        ("lost-run.txt", "lost-gone.txt", "lost-model.txt", "versions/1/artifacts/lost-version.txt"), True
    )
    assert not second.losses
    for id in (a, gone, exp):
        assert second.outcomes[id].status is Status.STORED, id
        assert second.outcomes[id].target_id == first.outcomes[id].target_id
    assert {outcome.status for id, outcome in third.outcomes.items()} == {Status.SKIPPED}
