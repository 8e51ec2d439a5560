"""What storage and libraries say through ``logging``, told on standard error in the form that the user asked for."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

import click

from mlflow_archive.cli.failing import asked, one_line

#: The loggers below this one are ours; they warn only of what puts an archive at risk.
_OURS = "mlflow_archive"


@contextmanager
def warnings_told(arguments: Sequence[str]) -> Iterator[None]:
    """Tell warnings as long as the context is open: a line each, of JSON if events are.

    With ``--quiet`` only errors and our own warnings are told.

    Args:
        arguments: The command line, to know in which form the user wants to hear it.
    """
    handler = _Teller(events=asked(arguments, "--events"), quiet=asked(arguments, "--quiet", "-q"))
    root = logging.getLogger()
    root.addHandler(handler)
    # What ``python -W`` brings back is no JSON either, unless it comes this way.
    logging.captureWarnings(handler.events)
    try:
        yield
    finally:
        logging.captureWarnings(False)
        root.removeHandler(handler)


class _Teller(logging.Handler):
    def __init__(self, *, events: bool, quiet: bool) -> None:
        super().__init__(logging.WARNING)
        self.events = events
        self._quiet = quiet

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line; a record that cannot be written is not worth a failure."""
        ours = record.name == _OURS or record.name.startswith(f"{_OURS}.")
        if self._quiet and not ours and record.levelno < logging.ERROR:
            return
        with suppress(OSError, TypeError, ValueError):
            message = one_line(record.getMessage())
            text = json.dumps({"event": "warning", "message": message}) if self.events else f"Warning: {message}"
            click.echo(text, err=True)
