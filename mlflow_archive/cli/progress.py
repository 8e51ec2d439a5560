"""Those who watch a transfer: a bar on a terminal, a line a minute in a log, lines of JSON for programs."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, TextIO

from mlflow_archive.cli import wording
from mlflow_archive.cli.tally import Tally
from mlflow_archive.events import BytesMoved, Event, Note, Observer, Silence, TransferFinished, TransferStarted

if TYPE_CHECKING:
    from rich.console import RenderableType

LOG_INTERVAL_SECONDS = 60.0
BYTES_INTERVAL_SECONDS = 1.0


@contextmanager
def watching(stream: TextIO, *, events: bool, silent: bool, steps: bool = False) -> Iterator[Observer]:
    """Yield the observer that fits a stream, and end it in order.

    Args:
        stream: Standard error.
        events: Write lines of JSON.
        silent: Show nothing, unless ``events`` asks for it.
        steps: Tell steps, not numbers.
    """
    if events:
        lines = EventLines(stream)
        try:
            yield lines
        finally:
            lines.flush()
    elif silent:
        yield Silence()
    elif steps:
        yield StepLines(stream)
    elif stream.isatty():
        with TerminalProgress(stream).live() as bar:
            yield bar
    else:
        yield LogProgress(stream)


class EventLines:
    """Each event as one line of JSON: its name under ``event``, and its fields.

    Moved bytes are summed up and written at most once a second.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._bytes = 0
        self._bytes_written = clock()

    def notify(self, event: Event) -> None:
        """Write the event."""
        if isinstance(event, BytesMoved):
            self._bytes += event.size_bytes
            if self._clock() - self._bytes_written >= BYTES_INTERVAL_SECONDS:
                self.flush()
            return
        if isinstance(event, TransferFinished):
            self.flush()
        self._write(event)

    def flush(self) -> None:
        """Write the bytes that were not told yet."""
        if self._bytes:
            self._write(BytesMoved(self._bytes))
        self._bytes = 0
        self._bytes_written = self._clock()

    def _write(self, event: Event) -> None:
        name = re.sub(r"(?<!^)(?=[A-Z])", "_", type(event).__name__).lower()
        self._stream.write(json.dumps({"event": name, **asdict(event)}, sort_keys=True) + "\n")
        self._stream.flush()


class LogProgress:
    """A line when it begins, then one a minute: for cron mails and container logs."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._clock = clock
        self._tally = Tally(clock)
        self._last = clock()

    def notify(self, event: Event) -> None:
        """Count the event, and write a line if it is time."""
        self._tally.add(event)
        if isinstance(event, TransferStarted):
            self._write(self._tally.title())
        elif self._clock() - self._last >= LOG_INTERVAL_SECONDS and not self._tally.finished:
            self._write(self._tally.line())

    def _write(self, text: str) -> None:
        self._last = self._clock()
        self._stream.write(f"{wording.time(int(time.time() * 1000))} {text}\n")
        self._stream.flush()


class StepLines:
    """Writes a line when a step begins: for a command that makes several transfers.

    A step is a note between transfers; the notes of a transfer itself are in its report.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._transferring = False

    def notify(self, event: Event) -> None:
        """Write the sentence of a step; the rest is not told."""
        if isinstance(event, TransferStarted | TransferFinished):
            self._transferring = isinstance(event, TransferStarted)
        elif isinstance(event, Note) and not self._transferring:
            self._stream.write(f"{event.message} ...\n")
            self._stream.flush()


class TerminalProgress:
    """A picture of the transfer that is drawn anew a few times a second and disappears at its end."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        self._stream = stream
        self._tally = Tally(clock)

    def notify(self, event: Event) -> None:
        """Count the event; the drawing is done elsewhere."""
        self._tally.add(event)

    @contextmanager
    def live(self) -> Iterator[TerminalProgress]:
        """Draw as long as the context is open."""
        from rich.console import Console
        from rich.live import Live

        console = Console(file=self._stream, highlight=False)
        with Live(get_renderable=self.picture, console=console, refresh_per_second=4, transient=True):
            yield self

    def picture(self) -> RenderableType:
        """Return what is to be drawn now."""
        from rich.console import Group
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        tally = self._tally
        if not tally.verb and not tally.kinds:
            return Text(f"connecting ... {wording.duration(tally.seconds())}", style="bold")
        kinds = Table.grid(padding=(0, 2, 0, 0))
        for column in range(4):
            kinds.add_column(justify="right" if column == 1 else "left", no_wrap=True)
        for word, kind in tuple(tally.kinds.items()):
            if not kind.done and not kind.expected and word != tally.current:
                continue
            outlook = _outlook(tally) if word == tally.current else ""
            known = kind.expected is not None and kind.expected > 0
            kinds.add_row(
                f"  {wording.kind(word)}",
                f"{kind.done:,} / {kind.expected:,}" if known else f"{kind.done:,}",
                ProgressBar(total=kind.expected, completed=kind.done, width=30) if known else outlook,
                outlook if known else "",
            )
        facts = [wording.count(tally.objects, "object"), wording.size(tally.size_bytes)]
        if (rate := int(tally.rate())) and not tally.finished:
            facts.append(f"{wording.size(rate)}/s")
        if tally.losses:
            facts.append(wording.count(tally.losses, "loss", "losses"))
        facts.append(wording.duration(tally.seconds()))
        return Group(
            Text(tally.title(), style="bold", overflow="ellipsis", no_wrap=True), kinds, Text("  " + "   ".join(facts))
        )


def _outlook(tally: Tally) -> str:
    """Return the time left for the current kind; where nobody knows how many there are, its pace."""
    if (left := tally.seconds_left()) is not None:
        return f"{wording.duration(left)} left"
    pace = tally.objects_per_second()
    return wording.pace(pace) if pace is not None else ""
