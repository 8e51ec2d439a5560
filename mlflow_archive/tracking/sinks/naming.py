"""Names for second objects."""

from __future__ import annotations

from collections.abc import Callable


def free_name(wanted: str, taken: Callable[[str], bool], mark: str = " (restored{})") -> str:
    """Return a name for a second object that is not taken; ``{}`` in the mark is for a number from 2 on."""
    number = 1
    while taken(name := wanted + mark.format("" if number == 1 else f" {number}" if " " in mark else number)):
        number += 1
    return name
