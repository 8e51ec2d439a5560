"""Numbers, times and tables as people read them."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timezone


def size(size_bytes: int) -> str:
    """Return a size in binary units: ``512 B``, ``1.5 KiB``, ``20 MiB``."""
    if size_bytes < 1024:
        return f"{size_bytes} B"
    value = float(size_bytes)
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        value /= 1024
        if value < 1024 or unit == "TiB":
            break
    return f"{value:.1f} {unit}" if value < 10 else f"{value:,.0f} {unit}"


def time(timestamp_ms: int | None) -> str:
    """Return a time as ISO 8601 in UTC, to the second; ``-`` where there is none."""
    if timestamp_ms is None:
        return "-"
    try:
        return datetime.fromtimestamp(timestamp_ms // 1000, tz=timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return f"{timestamp_ms} ms"


def duration(seconds: float) -> str:
    """Return a duration: ``4.2 s``, ``3 min 05 s``, ``2 h 10 min``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(int(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def pace(per_second: float) -> str:
    """Return how many a second: ``0.4/s``, ``1,200/s``."""
    return f"{per_second:.1f}/s" if per_second < 10 else f"{per_second:,.0f}/s"


def count(number: int, word: str, plural: str | None = None) -> str:
    """Return a number with its noun: ``1 run``, ``1,234 runs``."""
    return f"{number:,} {word if number == 1 else plural or word + 's'}"


#: What people call the objects of a kind, where it is not the word with an ``s``.
_PLURALS = {
    "registered_model": "registered models",
    "review_queue": "review queues",
    "budget_policy": "budget policies",
    "mcp_server": "MCP servers",
}


def kind(word: str) -> str:
    """Return the plural name of a kind: ``runs``, ``logged models``, ``MCP servers``."""
    return _PLURALS.get(word, word.replace("_", " ") + "s")


def kind_count(number: int, word: str) -> str:
    """Return how many objects of a kind: ``1 logged model``, ``12 runs``."""
    singular = "MCP server" if word == "mcp_server" else word.replace("_", " ")
    return count(number, singular, kind(word))


def table(
    rows: Iterable[Sequence[str]], *, header: Sequence[str] = (), right: Iterable[int] = (), indent: int = 2
) -> str:
    """Return rows as aligned columns.

    Args:
        rows: The cells; every row has the same number of them.
        header: The names of the columns, none by default.
        right: The columns that are aligned to the right: numbers.
        indent: Blanks before each line.
    """
    lines = [list(header)] if header else []
    lines += [list(row) for row in rows]
    if not lines:
        return ""
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    to_the_right = set(right)
    rendered = []
    for line in lines:
        cells = [
            cell.rjust(width) if column in to_the_right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        rendered.append(" " * indent + "  ".join(cells).rstrip())
    return "\n".join(rendered)


def printable(text: str, *, escape: bool = False) -> str:
    r"""Return a text of several lines that steers no terminal: ids and names come from servers and foreign archives.

    Args:
        text: What is to be printed.
        escape: Write what cannot be printed as JSON's ``\uXXXX``, so that nothing is lost, instead of replacing it.
    """
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c == "\n" or c.isprintable() else _instead(c, escape=escape) for c in text)


def _instead(character: str, *, escape: bool) -> str:
    return json.dumps(character)[1:-1] if escape else "\N{REPLACEMENT CHARACTER}"


def shortened(text: str, width: int) -> str:
    """Return a text of at most ``width`` characters, with its middle left out if need be: whole words, if it can be."""
    if len(text) <= width:
        return text
    end = (width - 3) // 2
    start = len(text) - (width - 3 - end)
    # The blanks around the words that are cut, unless they are so far away that too little would stay.
    before = text.rfind(" ", end // 2, end + 1)
    behind = text.find(" ", start - 1, start + (len(text) - start) // 2)
    tail = text[behind:] if behind >= start else text[start:]
    return f"{text[: before if before > 0 else end]}...{tail}"
