"""A user who may not touch one object loses that object; one who may do nothing is told so at once."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import FORBIDDEN, ExitCode, NotAuthorisedError
from mlflow_archive.operations.transfer import MAX_FORBIDDEN, transfer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from tests.operations.ends import MemorySink, MemorySource, item


def _refused() -> NotAuthorisedError:
    return NotAuthorisedError("POST /runs/create is forbidden for this user (status 403).", code=FORBIDDEN)


def _runs(count: int) -> MemorySource:
    return MemorySource([item(Kind.RUN, str(number), experiment_id="1") for number in range(count)])


def test_one_forbidden_object_is_a_loss() -> None:
    def act(one):
        if one.key.id == "1":
            raise _refused()

    report = transfer(_runs(3), MemorySink(act), Selection())
    assert [(loss.id, loss.code) for loss in report.losses] == [("1", FORBIDDEN)]
    assert report.counts["run"].stored == 2


@pytest.mark.parametrize("count", [1, 3, 5 * MAX_FORBIDDEN])
def test_a_user_who_may_do_nothing_is_not_authorised(count: int) -> None:
    tried = []

    def act(one):
        tried.append(one.key.id)
        raise _refused()

    sink = MemorySink(act)
    with pytest.raises(NotAuthorisedError) as caught:
        transfer(_runs(count), sink, Selection(), parallelism=2)
    assert caught.value.exit_code is ExitCode.NOT_AUTHORISED
    assert "none of the" in str(caught.value)
    assert len(tried) <= MAX_FORBIDDEN + 8
    assert sink.finished is None
