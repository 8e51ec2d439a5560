"""What happens during a transfer, as frozen values, and the protocol of those who watch.

The library never prints: a progress bar, a log line and a JSON line are all observers.
Events may arrive from several threads; the transfer serialises them, so an observer needs no lock of its own.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TransferStarted:
    """A transfer begins; ``verb`` is ``backup``, ``restore`` ..., ends are URLs without credentials."""

    verb: str
    source: str
    target: str
    dry_run: bool


@dataclass(frozen=True, slots=True)
class SectionStarted:
    """All objects of one kind come next; ``expected`` is how many, where the source knows."""

    kind: str
    expected: int | None


@dataclass(frozen=True, slots=True)
class ItemFinished:
    """One object is settled; ``status`` is ``stored``, ``skipped`` or ``lost``."""

    kind: str
    id: str
    name: str
    status: str
    reason: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class BytesMoved:
    """``size_bytes`` more bytes of artifacts or documents went through."""

    size_bytes: int


@dataclass(frozen=True, slots=True)
class LossRecorded:
    """Something could not be read or written; it is in the manifest and in the report."""

    kind: str
    id: str
    path: str
    code: str
    reason: str


@dataclass(frozen=True, slots=True)
class Note:
    """A sentence a person should see; not a loss."""

    message: str


@dataclass(frozen=True, slots=True)
class TransferFinished:
    """The transfer ended; ``status`` is ``complete``, ``partial``, ``failed`` or ``interrupted``."""

    status: str
    stored: int
    skipped: int
    lost: int
    size_bytes: int
    seconds: float


Event = TransferStarted | SectionStarted | ItemFinished | BytesMoved | LossRecorded | Note | TransferFinished


class Observer(Protocol):
    """Anyone who wants to know what happens."""

    def notify(self, event: Event) -> None:
        """Take one event; must be quick and must not raise."""
        ...


class Silence:
    """The observer who ignores everything; the library's default."""

    def notify(self, event: Event) -> None:
        """Ignore the event."""


class Chorus:
    """Several observers as one."""

    def __init__(self, observers: Iterable[Observer]) -> None:
        """Keep the observers in the order in which they are told."""
        self._observers = tuple(observers)

    def notify(self, event: Event) -> None:
        """Tell every observer."""
        for observer in self._observers:
            observer.notify(event)
