"""Progress: numbers by a fake clock, and the three ways to show them."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest

from mlflow_archive.cli.progress import EventLines, LogProgress, StepLines, TerminalProgress, watching
from mlflow_archive.cli.tally import Tally
from mlflow_archive.events import (
    BytesMoved,
    Event,
    ItemFinished,
    LossRecorded,
    Note,
    SectionStarted,
    Silence,
    TransferFinished,
    TransferStarted,
)


class FakeClock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def run(number: int) -> ItemFinished:
    return ItemFinished("run", str(number), f"run {number}", "stored", "", 10)


def transfer(clock: FakeClock) -> Iterator[Event]:
    """Ten of forty runs, one a second, each of 1 MiB; then one loss."""
    yield TransferStarted("backup", "http://localhost:5000", "/backups/one", False)
    yield SectionStarted("run", 40)
    for number in range(10):
        clock.now += 1
        yield BytesMoved(1 << 20)
        yield run(number)
    yield LossRecorded("run", "3", "plots/a.png", "not_found", "It is gone.")


def test_tally_counts_rate_and_time_left(clock: FakeClock) -> None:
    tally = Tally(clock)

    for event in transfer(clock):
        tally.add(event)

    assert (tally.objects, tally.losses, tally.size_bytes) == (10, 1, 10 << 20)
    assert tally.rate() == pytest.approx(1 << 20)
    assert tally.seconds_left() == pytest.approx(30)
    assert tally.line() == "10 of 40 runs, 10 objects, 10 MiB, 1.0 MiB/s, 30.0 s left for runs, 1 loss, 10.0 s"


def test_rate_forgets_what_is_long_ago(clock: FakeClock) -> None:
    tally = Tally(clock)
    for event in transfer(clock):
        tally.add(event)

    clock.now += 60

    assert tally.rate() == 0


def test_no_guess_without_a_number_to_expect(clock: FakeClock) -> None:
    tally = Tally(clock)
    tally.add(SectionStarted("trace", None))
    for number in range(10):
        clock.now += 1
        tally.add(ItemFinished("trace", str(number), "", "stored", "", 0))

    assert tally.seconds_left() is None
    assert tally.line() == "10 traces (1.0/s), 10 objects, 0 B, 10.0 s"


def test_the_time_to_connect_slows_no_rate(clock: FakeClock) -> None:
    tally = Tally(clock)
    clock.now += 10
    for event in transfer(clock):
        tally.add(event)

    assert tally.rate() == pytest.approx(1 << 20)
    assert tally.seconds() == pytest.approx(10)


def test_sections_of_one_kind_add_up(clock: FakeClock) -> None:
    tally = Tally(clock)
    tally.add(SectionStarted("run", 3))
    tally.add(run(1))
    tally.add(SectionStarted("run", 4))

    assert (tally.kinds["run"].done, tally.kinds["run"].expected) == (1, 7)


def test_a_log_gets_a_line_a_minute(clock: FakeClock) -> None:
    stream = io.StringIO()
    log = LogProgress(stream, clock)

    for event in transfer(clock):
        log.notify(event)
    for number in range(10, 40):
        clock.now += 4
        log.notify(run(number))
    log.notify(TransferFinished("partial", 40, 0, 0, 10 << 20, 130.0))

    lines = [line.partition(" ")[2] for line in stream.getvalue().splitlines()]
    assert lines[0] == "backup: http://localhost:5000 -> /backups/one"
    assert len(lines) == 3
    assert lines[1].startswith("23 of 40 runs, 23 objects, 10 MiB, ")


def test_a_terminal_shows_kinds_bytes_time_left_and_losses(clock: FakeClock) -> None:
    bar = TerminalProgress(Terminal(), clock)
    for event in transfer(clock):
        bar.notify(event)

    title, runs, total = _lines(bar)
    assert title == "backup: http://localhost:5000 -> /backups/one"
    assert runs.startswith("  runs  10 / 40  ")
    assert runs.endswith("30.0 s left")
    assert total == "  10 objects   10 MiB   1.0 MiB/s   1 loss   10.0 s"


def test_a_terminal_shows_a_rate_where_the_end_is_not_known(clock: FakeClock) -> None:
    bar = TerminalProgress(Terminal(), clock)
    bar.notify(TransferStarted("backup", "a", "b", False))
    bar.notify(SectionStarted("trace", None))
    for number in range(30):
        clock.now += 0.05
        bar.notify(ItemFinished("trace", str(number), "", "stored", "", 0))

    assert _lines(bar)[1:] == ["  traces  30  20/s", "  30 objects   0 B   1.5 s"]

    bar.notify(SectionStarted("prompt", None))

    assert _lines(bar)[1:] == ["  traces   30", "  prompts   0", "  30 objects   0 B   1.5 s"]


def test_before_a_transfer_there_is_only_the_time(clock: FakeClock) -> None:
    bar = TerminalProgress(Terminal(), clock)
    clock.now += 1.25

    assert _lines(bar) == ["connecting ... 1.2 s"]


def _lines(bar: TerminalProgress) -> list[str]:
    from rich.console import Console

    shown = io.StringIO()
    Console(file=shown, width=100).print(bar.picture())
    return [line.rstrip() for line in shown.getvalue().splitlines()]


def test_the_picture_disappears_from_the_terminal() -> None:
    terminal = Terminal()

    with watching(terminal, events=False, silent=False) as bar:
        bar.notify(run(1))

    assert isinstance(bar, TerminalProgress)
    assert terminal.getvalue().endswith(("\x1b[2K", "\x1b[0m", "\x1b[?25h")) or "\x1b[1A\x1b[2K" in terminal.getvalue()


def test_event_lines_are_json_and_bytes_are_summed_up(clock: FakeClock) -> None:
    stream = io.StringIO()
    lines = EventLines(stream, clock)

    lines.notify(TransferStarted("backup", "a", "b", True))
    for _ in range(5):
        lines.notify(BytesMoved(100))
    clock.now += 1
    lines.notify(BytesMoved(100))
    lines.notify(BytesMoved(7))
    lines.notify(TransferFinished("complete", 0, 0, 0, 607, 1.0))

    written = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert written == [
        {"event": "transfer_started", "verb": "backup", "source": "a", "target": "b", "dry_run": True},
        {"event": "bytes_moved", "size_bytes": 600},
        {"event": "bytes_moved", "size_bytes": 7},
        {
            "event": "transfer_finished",
            "status": "complete",
            "stored": 0,
            "skipped": 0,
            "lost": 0,
            "size_bytes": 607,
            "seconds": 1.0,
        },
    ]


def test_steps_are_told_and_the_notes_of_transfers_are_not(clock: FakeClock) -> None:
    stream = io.StringIO()
    steps = StepLines(stream)

    steps.notify(Note("Backing it up"))
    for event in transfer(clock):
        steps.notify(event)
    steps.notify(Note("Password hashes are not in a backup."))
    steps.notify(TransferFinished("complete", 10, 0, 0, 10 << 20, 10.0))
    steps.notify(Note("Comparing"))

    assert stream.getvalue() == "Backing it up ...\nComparing ...\n"


def test_who_watches(clock: FakeClock) -> None:
    def watcher(stream: io.StringIO, *, events: bool, silent: bool, steps: bool = False) -> type:
        with watching(stream, events=events, silent=silent, steps=steps) as observer:
            return type(observer)

    assert watcher(Terminal(), events=False, silent=False, steps=True) is StepLines
    assert watcher(Terminal(), events=False, silent=True, steps=True) is Silence

    assert watcher(Terminal(), events=False, silent=False) is TerminalProgress
    assert watcher(io.StringIO(), events=False, silent=False) is LogProgress
    assert watcher(Terminal(), events=False, silent=True) is Silence
    assert watcher(io.StringIO(), events=True, silent=True) is EventLines
