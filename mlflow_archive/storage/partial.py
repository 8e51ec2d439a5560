"""Names of objects that are being written, so that no reader takes one for an object."""

from __future__ import annotations

import re
import secrets

_PARTIAL = re.compile(r"^\.mla-[0-9a-f]{8}\.part$")


def partial_name() -> str:
    """Return a fresh name for an unfinished object, short enough for any folder."""
    return f".mla-{secrets.token_hex(4)}.part"


def is_partial(key: str) -> bool:
    """Tell whether the last segment of a key is such a name."""
    return _PARTIAL.match(key.rpartition("/")[2]) is not None
