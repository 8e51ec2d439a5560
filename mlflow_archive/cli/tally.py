"""What has happened so far in a transfer, in numbers; progress printers only read it."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from mlflow_archive.cli import wording
from mlflow_archive.events import (
    BytesMoved,
    Event,
    ItemFinished,
    LossRecorded,
    SectionStarted,
    TransferFinished,
    TransferStarted,
)

#: The rate is that of the last seconds, so that it follows what happens now.
RATE_WINDOW_SECONDS = 15.0
#: No guess of the time left before this many objects are done.
GUESS_AFTER = 5


@dataclass(slots=True)
class KindTally:
    """The objects of one kind: settled so far, expected if known, and when the first section began."""

    done: int = 0
    expected: int | None = None
    began: float = 0.0
    done_before: int = 0


class Tally:
    """Adds events up.

    Args:
        clock: Seconds that only grow; `time.monotonic`, or a test's own.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._began = clock()
        self._moved: deque[tuple[float, int]] = deque()
        self.verb = ""
        self.source = ""
        self.target = ""
        self.kinds: dict[str, KindTally] = {}
        self.current = ""
        self.objects = 0
        self.losses = 0
        self.size_bytes = 0
        self.finished = False

    def add(self, event: Event) -> None:
        """Take one event into account."""
        if isinstance(event, BytesMoved):
            self._add_bytes(event.size_bytes)
        elif isinstance(event, ItemFinished):
            self._kind(event.kind).done += 1
            self.objects += 1
        elif isinstance(event, LossRecorded):
            self.losses += 1
        elif isinstance(event, SectionStarted):
            self._start_section(event)
        elif isinstance(event, TransferStarted):
            self.verb = f"{event.verb} (dry run)" if event.dry_run else event.verb
            self.source, self.target = event.source, event.target
            self._began = self._clock()
        elif isinstance(event, TransferFinished):
            self.finished = True

    def title(self) -> str:
        """Return what is done to what."""
        if not self.verb:
            return "working ..." if self.kinds else "connecting ..."
        return f"{self.verb}: {self.source} -> {self.target}" if self.target else f"{self.verb}: {self.source}"

    def seconds(self) -> float:
        """Return how long it has taken so far, without the time to connect once that is done."""
        return self._clock() - self._began

    def rate(self) -> float:
        """Return bytes per second over the last few seconds."""
        now = self._clock()
        window = min(RATE_WINDOW_SECONDS, now - self._began)
        moved = sum(size for at, size in tuple(self._moved) if at >= now - RATE_WINDOW_SECONDS)
        return moved / window if window > 0 else 0.0

    def seconds_left(self) -> float | None:
        """Return a guess of the time until the current kind is done, None where there is nothing to go by."""
        kind = self.kinds.get(self.current)
        if kind is None or kind.expected is None:
            return None
        done = kind.done - kind.done_before
        left = kind.expected - kind.done
        if done < GUESS_AFTER or left <= 0:
            return None
        return (self._clock() - kind.began) / done * left

    def objects_per_second(self) -> float | None:
        """Return the pace of the current kind where the end is not known, None before there is one."""
        kind = self.kinds.get(self.current)
        if kind is None or kind.expected is not None or self.finished:
            return None
        done, seconds = kind.done - kind.done_before, self._clock() - kind.began
        return done / seconds if done >= GUESS_AFTER and seconds > 0 else None

    def line(self) -> str:
        """Return everything that matters in one line."""
        facts = []
        kind = self.kinds.get(self.current)
        if kind is not None:
            if kind.expected is not None:
                facts.append(f"{kind.done:,} of {wording.kind_count(kind.expected, self.current)}")
            else:
                pace = self.objects_per_second()
                done = wording.kind_count(kind.done, self.current)
                facts.append(done if pace is None else f"{done} ({wording.pace(pace)})")
        facts += [wording.count(self.objects, "object"), wording.size(self.size_bytes)]
        if self.rate() >= 1:
            facts.append(f"{wording.size(int(self.rate()))}/s")
        if (left := self.seconds_left()) is not None:
            facts.append(f"{wording.duration(left)} left for {wording.kind(self.current)}")
        if self.losses:
            facts.append(wording.count(self.losses, "loss", "losses"))
        facts.append(wording.duration(self.seconds()))
        return ", ".join(facts)

    def _kind(self, word: str) -> KindTally:
        return self.kinds.setdefault(word, KindTally(began=self._clock()))

    def _start_section(self, event: SectionStarted) -> None:
        kind = self._kind(event.kind)
        if event.kind != self.current:
            kind.began, kind.done_before = self._clock(), kind.done
        if event.expected is not None:
            kind.expected = (kind.expected or 0) + event.expected
        self.current = event.kind

    def _add_bytes(self, size_bytes: int) -> None:
        now = self._clock()
        self.size_bytes += size_bytes
        if self._moved and now - self._moved[-1][0] < 0.25:
            at, before = self._moved.pop()
            self._moved.append((at, before + size_bytes))
        else:
            self._moved.append((now, size_bytes))
        while self._moved and self._moved[0][0] < now - RATE_WINDOW_SECONDS:
            self._moved.popleft()
