"""Names as they are asked for: a glob (``*``, ``?``, ``[]``), or a plain name that may have these signs in it.

``exactly("a[1]")`` is the pattern ``a[[]1]``, which matches nothing but the name ``a[1]``; `plain_name` is its inverse.
"""

from __future__ import annotations

import re
from fnmatch import fnmatchcase

#: Matches every name.
EVERYTHING = "*"
_SIGNS = re.compile(r"[*?\[]")
_ESCAPED = re.compile(r"\[([*?\[])\]")


def matches(name: str, pattern: str) -> bool:
    """Tell whether a name is the pattern, or is matched by it; case matters."""
    plain = plain_name(pattern)
    return name == plain if plain is not None else name == pattern or fnmatchcase(name, pattern)


def exactly(name: str) -> str:
    """Return the pattern that matches this name alone."""
    return _SIGNS.sub(r"[\g<0>]", name)


def plain_name(pattern: str) -> str | None:
    """Return the only name that a pattern can match; None of a glob, which may match any number."""
    if _SIGNS.search(_ESCAPED.sub("", pattern)):
        return None
    return _ESCAPED.sub(r"\1", pattern)
