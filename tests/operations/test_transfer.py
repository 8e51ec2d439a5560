"""The loop between any two ends."""

from __future__ import annotations

import threading
import time
from contextlib import contextmanager
from dataclasses import replace

import pytest

from mlflow_archive.errors import (
    UNREACHABLE,
    ConflictError,
    IntegrityError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
    UsageError,
)
from mlflow_archive.events import ItemFinished, LossRecorded, Note, SectionStarted, TransferFinished, TransferStarted
from mlflow_archive.operations.transfer import MAX_UNAVAILABLE, transfer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Blob, Content, Outcome, Part, Scope, Status
from tests.operations.ends import Diary, MemorySink, MemorySource, content, item, least

ALL = Selection()


def runs(count: int, experiment_id: str = "1") -> list:
    return [item(Kind.RUN, f"{experiment_id}-{n}", experiment_id=experiment_id) for n in range(count)]


def failing(error: BaseException):
    def load() -> Content:
        raise error

    return load


def test_everything_arrives_and_is_counted():
    source = MemorySource([item(Kind.EXPERIMENT, "1", name="iris"), *runs(20)], notes=("one secret is unreadable",))
    sink = MemorySink()
    diary = Diary()
    report = transfer(source, sink, ALL, observer=diary, verb="restore", target="memory://target")
    assert len(sink.stored) == 21
    assert report.status == "complete"
    assert report.exit_code == 0
    assert {kind: count.stored for kind, count in report.counts.items()} == {"experiment": 1, "run": 20}
    assert report.ids["run"]["1-3"] == "new-1-3"
    assert (report.source, report.target, report.notes) == (
        "memory://source",
        "memory://target",
        ("one secret is unreadable",),
    )
    assert isinstance(diary.events[0], TransferStarted)
    assert isinstance(diary.events[-1], TransferFinished)
    assert diary.events[-1].status == "complete"
    assert len(diary.of(ItemFinished)) == 21
    assert [event.kind for event in diary.of(SectionStarted)] == ["experiment", "run"]
    assert len(diary.of(Note)) == 1
    assert diary.overlaps == 0


def test_a_backup_keeps_no_map_of_ids():
    assert transfer(MemorySource(runs(3)), MemorySink(), ALL, verb="backup").ids == {}


@pytest.mark.parametrize("parallelism", [1, 2, 8])
def test_the_result_does_not_depend_on_the_order(parallelism):
    def slow_first(it):
        if it.key.id.endswith("-0"):
            time.sleep(0.02)

    source = MemorySource([*runs(10, "1"), *runs(10, "2")])
    sink = MemorySink(slow_first)
    report = transfer(source, sink, ALL, parallelism=parallelism)
    assert set(sink.stored) == {entry.key for entry in source.entries}
    assert report.counts["run"].stored == 20


def test_a_kind_begins_when_the_one_before_has_ended():
    def slow(it):
        time.sleep(0.002)

    source = MemorySource([item(Kind.EXPERIMENT, str(n), name=str(n)) for n in range(8)] + runs(8))
    sink = MemorySink(slow)
    transfer(source, sink, ALL, parallelism=4)
    kinds = [(what, key.kind) for what, key in sink.diary if what in ("begin", "end")]
    first_run = kinds.index(("begin", Kind.RUN))
    assert ("end", Kind.EXPERIMENT) not in kinds[first_run:]


def test_each_scope_is_closed_once_after_its_last_write():
    source = MemorySource([*runs(9, "1"), *runs(1, "2"), *runs(7, "3")])
    sink = MemorySink(lambda it: time.sleep(0.001 * (int(it.key.id[-1]) % 3)))
    transfer(source, sink, ALL, parallelism=4)
    closed = [scope for what, scope in sink.diary if what == "close"]
    assert sorted(closed) == [Scope(Kind.RUN, e, None) for e in ("1", "2", "3")]
    for scope in closed:
        after = sink.diary[sink.diary.index(("close", scope)) :]
        assert not [key for what, key in after if what in ("begin", "end") and key.scope == scope]


def test_a_source_that_comes_back_to_a_scope_is_a_bug():
    with pytest.raises(RuntimeError, match="came back"):
        transfer(MemorySource([*runs(1, "1"), *runs(1, "2"), *runs(1, "1")]), MemorySink(), ALL)


def test_at_most_twice_the_workers_are_under_way():
    listed = written = ahead = 0
    lock = threading.Lock()

    class Counting(MemorySource):
        def read(self, kind, selection):
            nonlocal listed, ahead
            for entry in super().read(kind, selection):
                with lock:
                    listed += 1
                    ahead = max(ahead, listed - written)
                yield entry

    def slow(it):
        nonlocal written
        time.sleep(0.002)
        with lock:
            written += 1

    transfer(Counting(runs(100)), MemorySink(slow), ALL, parallelism=3)
    assert written == 100
    # Twice three are under way, and one is in the lister's hand.
    assert ahead <= 7


def test_an_object_that_cannot_be_read_is_lost_alone():
    broken = item(Kind.RUN, "bad", failing(IntegrityError("run.json is damaged (E022).")), experiment_id="1")
    sink = MemorySink()
    report = transfer(MemorySource([*runs(3), broken]), sink, ALL)
    assert report.status == "partial"
    assert report.exit_code == 3
    assert [(loss.id, loss.code, loss.reason) for loss in report.losses] == [
        ("bad", "integrity", "run.json is damaged (E022).")
    ]
    assert (report.counts["run"].stored, report.counts["run"].lost) == (3, 1)
    assert sink.finished.losses == report.losses
    assert sink.finished.lost == {"run": 1}


@pytest.mark.parametrize("where", ["load", "part", "listing", "open", "chunk"])
def test_a_conflict_of_the_source_does_not_end_the_transfer(where):
    error = ConflictError("two things")

    def rows():
        raise error
        yield {}

    @contextmanager
    def open_blob():
        if where == "open":
            raise error
        yield rows()

    def blobs():
        if where == "listing":
            raise error
        yield Blob("artifacts", "a.txt", 1, open_blob)

    def load():
        if where == "load":
            raise error
        plain = content(Kind.RUN, least(Kind.RUN, "x"), parts={})
        parts = (Part("metrics", rows),) if where == "part" else ()
        return Content(plain.record, parts, blobs if where in ("listing", "open", "chunk") else lambda: iter(()))

    report = transfer(MemorySource([item(Kind.RUN, "x", load, experiment_id="1"), *runs(2)]), MemorySink(), ALL)
    assert [loss.code for loss in report.losses] == ["conflict"]
    assert report.counts["run"].stored == 2


def test_an_error_of_the_source_is_known_even_when_the_sink_wraps_it():
    def wrapping(it):
        try:
            it.load()
        except UnavailableError as error:
            raise ConflictError("could not go on") from error

    entries = [item(Kind.RUN, "x", failing(UnavailableError("gone")), experiment_id="1")]
    report = transfer(MemorySource(entries), MemorySink(wrapping), ALL)
    assert report.lost_count == 1


@pytest.mark.parametrize(
    "error",
    [
        ConflictError("it exists"),
        NotAuthorisedError("no"),
        UnavailableError("The disk is full.", code="disk_full"),
    ],
)
def test_an_error_of_the_whole_target_ends_the_transfer(error):
    def act(it):
        if it.key.id == "1-5":
            raise error

    sink = MemorySink(act)
    diary = Diary()
    with pytest.raises(type(error)) as caught:
        transfer(MemorySource(runs(200)), sink, ALL, parallelism=2, observer=diary)
    assert caught.value is error
    assert sink.finished is None
    assert len(sink.stored) < 50
    assert diary.events[-1].status == "failed"


def test_refused_credentials_at_the_source_end_the_transfer():
    entries = [item(Kind.RUN, "x", failing(NotAuthorisedError("no")), experiment_id="1"), *runs(3)]
    with pytest.raises(NotAuthorisedError):
        transfer(MemorySource(entries), MemorySink(), ALL)


def test_an_error_of_one_object_at_the_target_is_a_loss():
    def act(it):
        if it.key.id == "1-1":
            raise UsageError("Parameter too long", code="invalid_parameter_value")

    report = transfer(MemorySource(runs(3)), MemorySink(act), ALL)
    assert [(loss.id, loss.code) for loss in report.losses] == [("1-1", "invalid_parameter_value")]


def test_a_bug_ends_the_transfer_with_its_traceback():
    def act(it):
        raise TypeError("a bug")

    with pytest.raises(TypeError, match="a bug") as caught:
        transfer(MemorySource(runs(3)), MemorySink(act), ALL)
    assert any(frame.name == "act" for frame in caught.traceback)


def test_a_dead_server_is_not_hammered():
    asked = []

    def act(it):
        asked.append(it.key)
        raise UnavailableError("No answer.")

    with pytest.raises(UnavailableError, match=f"{MAX_UNAVAILABLE} objects in a row"):
        transfer(MemorySource(runs(1000)), MemorySink(act), ALL, parallelism=4)
    assert len(asked) < MAX_UNAVAILABLE + 3 * 8


@pytest.mark.parametrize("part", [None, "artifacts/a"])
def test_a_server_that_is_gone_ends_the_transfer_at_once(part):
    """Committed as partial, a backup could not be gone on with."""
    sink, diary = MemorySink(), Diary()

    def load():
        reason = "No MLflow server answers at http://here: the connection was refused; start it."
        if part is None:
            raise UnavailableError(reason, code=UNREACHABLE)
        lost = Loss(kind=Kind.RUN, id="x", path=part, code=UNREACHABLE, reason=reason, retryable=True)
        return replace(content(Kind.RUN, least(Kind.RUN, "x", "1")), losses=(lost,))

    entries = [item(Kind.RUN, "x", load, experiment_id="1"), *runs(500)]
    with pytest.raises(UnavailableError, match=r"start it\. Then go on: with a backup by --resume") as caught:
        transfer(MemorySource(entries), sink, ALL, parallelism=2, observer=diary)
    assert caught.value.code == UNREACHABLE
    assert sink.finished is None
    assert len(sink.stored) < 50
    assert diary.events[-1].status == "failed"


def test_a_server_that_is_gone_ends_the_transfer_when_a_list_shows_it():
    gone = Loss(kind=Kind.RUN, id="", experiment_id="1", code=UNREACHABLE, reason="Nobody answers; start it.")
    sink = MemorySink()
    with pytest.raises(UnavailableError, match="Nobody answers"):
        transfer(MemorySource([gone]), sink, ALL)
    assert sink.finished is None


def test_one_answer_now_and_then_is_enough_to_go_on():
    def act(it):
        if not it.key.id.endswith("0"):
            raise UnavailableError("No answer.")

    report = transfer(MemorySource(runs(300)), MemorySink(act), ALL)
    assert report.counts["run"].stored == 30
    assert all(loss.retryable for loss in report.losses)


def test_losses_count_once_wherever_they_come_from():
    whole = Loss(kind=Kind.TRACE, id="", experiment_id="1", code="unavailable", reason="The list broke off.")
    part = Loss(kind=Kind.RUN, id="x", experiment_id="1", path="a#b", code="name", reason="A name.")
    blob = Loss(kind=Kind.RUN, id="x", experiment_id="1", path="c", code="not_found", reason="Gone.")
    late = Loss(kind=Kind.RUN, id="x", experiment_id="1", path="links", code="not_found", reason="No model.")
    plain = content(Kind.RUN, least(Kind.RUN, "x", "1"))
    loaded = Content(plain.record, blobs=lambda: iter([blob]), losses=(part,))

    def act(it):
        sums = it.load()
        found = tuple(entry for entry in sums.blobs() if isinstance(entry, Loss))
        return Outcome(it.key, Status.STORED, losses=(*sums.losses, *found))

    sink = MemorySink(act)
    sink.at_finish = (late,)
    diary = Diary()
    report = transfer(MemorySource([item(Kind.RUN, "x", loaded, experiment_id="1"), whole]), sink, ALL, observer=diary)
    assert sorted(loss.path or "" for loss in report.losses) == ["", "a#b", "c", "links"]
    assert len(diary.of(LossRecorded)) == 4
    assert report.counts["run"].stored == 1
    assert len(sink.finished.losses) == 3


def test_skipped_objects_are_counted_by_reason():
    report = transfer(
        MemorySource(runs(4)), MemorySink(lambda it: Outcome(it.key, Status.SKIPPED, reason="exists")), ALL
    )
    assert report.skipped == {"run": {"exists": 4}}
    assert report.status == "complete"
    assert report.skipped_count == 4


def test_ctrl_c_ends_what_is_under_way_and_starts_nothing_new():
    begun = threading.Event()

    class Interrupting(MemorySource):
        def read(self, kind, selection):
            for n, entry in enumerate(super().read(kind, selection)):
                if n == 3:
                    begun.wait(5)
                    raise KeyboardInterrupt
                yield entry

    def endless():
        begun.set()
        while True:
            time.sleep(0.001)
            yield {"key": "loss"}

    loaded = Content(content(Kind.RUN, least(Kind.RUN, "x")).record, parts=(Part("metrics", endless),))
    entries = [item(Kind.RUN, f"r{n}", loaded, experiment_id="1") for n in range(10)]
    sink = MemorySink()
    diary = Diary()
    started = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        transfer(Interrupting(entries), sink, ALL, parallelism=2, observer=diary)
    assert time.monotonic() - started < 5
    assert sink.finished is None
    assert sink.stored == {}
    assert {key.id for what, key in sink.diary if what == "begin"} <= {"r0", "r1"}
    assert diary.events[-1].status == "interrupted"


def test_a_name_that_is_not_there_is_a_loss_and_the_others_complete():
    source = MemorySource([item(Kind.EXPERIMENT, "1", name="iris"), *runs(2)])
    report = transfer(source, MemorySink(), Selection(experiments=("iris", "nope", "no-such-*")))
    assert [(loss.kind, loss.id, loss.code) for loss in report.losses] == [(Kind.EXPERIMENT, "nope", "not_found")]
    assert report.exit_code == 3


def test_nothing_found_at_all_is_an_error():
    source = MemorySource([item(Kind.EXPERIMENT, "1", name="iris"), *runs(2)])
    sink = MemorySink()
    with pytest.raises(NotFoundError, match="no experiment 'nope'"):
        transfer(source, sink, Selection(experiments=("nope",)))
    assert sink.finished is None


def test_an_empty_source_is_not_an_error():
    report = transfer(MemorySource([]), MemorySink(), ALL)
    assert report.counts == {}
    assert report.exit_code == 0


def test_unwanted_kinds_are_not_asked_for():
    source = MemorySource([item(Kind.EXPERIMENT, "1", name="iris"), *runs(2)])
    transfer(source, MemorySink(), Selection(kinds=frozenset({Kind.EXPERIMENT})))
    assert source.reads == [Kind.EXPERIMENT]
