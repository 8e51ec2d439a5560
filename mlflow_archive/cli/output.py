"""The two ways a result is printed: text for people, one JSON document for programs."""

from __future__ import annotations

import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import click

from mlflow_archive.cli import wording
from mlflow_archive.cli.progress import watching
from mlflow_archive.events import Observer

if TYPE_CHECKING:
    from mlflow_archive.spec.canonical import JSONObject


class Output(ABC):
    """Where a command's result goes; standard output is for results only.

    Attributes:
        events: Progress is wanted as lines of JSON.
        tells_all: Results are printed, so a warning need not repeat what they say.
    """

    tells_all = True

    def __init__(self, *, events: bool = False) -> None:
        self.events = events

    @abstractmethod
    def result(self, document: JSONObject, render: Callable[[], str]) -> None:
        """Print the result: the document, or the text that ``render`` makes."""

    @abstractmethod
    def watching(self, *, steps: bool = False) -> AbstractContextManager[Observer]:
        """Show progress as long as the context is open: numbers, or ``steps`` as they begin."""

    def warn(self, message: str) -> None:
        """Tell a person something on standard error, unless standard error is for JSON lines."""
        if not self.events:
            click.echo(message, err=True)


class TextOutput(Output):
    """Text for people; nothing but warnings when ``quiet``."""

    def __init__(self, *, events: bool = False, quiet: bool = False) -> None:
        super().__init__(events=events)
        self._quiet = quiet
        self.tells_all = not quiet

    def result(self, document: JSONObject, render: Callable[[], str]) -> None:
        """Print the text."""
        if not self._quiet:
            click.echo(wording.printable(render()))

    def watching(self, *, steps: bool = False) -> AbstractContextManager[Observer]:
        """Show a bar on a terminal, else write a line a minute."""
        return watching(sys.stderr, events=self.events, silent=self._quiet, steps=steps)


class JsonOutput(Output):
    """One JSON document, keys sorted."""

    def result(self, document: JSONObject, render: Callable[[], str]) -> None:
        """Print the document."""
        from mlflow_archive.spec.canonical import document_bytes

        click.echo(wording.printable(document_bytes(document).decode("utf-8", "replace"), escape=True), nl=False)

    def watching(self, *, steps: bool = False) -> AbstractContextManager[Observer]:
        """Show nothing, but for events if they are asked for."""
        return watching(sys.stderr, events=self.events, silent=True, steps=steps)
