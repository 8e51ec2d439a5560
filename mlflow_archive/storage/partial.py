"""Names of objects that are being written, so that no reader takes one for an object."""

from __future__ import annotations

import re
import secrets
import time

#: So long may a complete object wait to be copied by its writer.
WAITING_SECONDS = 24 * 3600

_PARTIAL = re.compile(r"^\.mla-[0-9a-f]{8}\.(part|wait)$")


def partial_name() -> str:
    """Return a fresh name for an unfinished object, short enough for any folder."""
    return f".mla-{secrets.token_hex(4)}.part"


def waiting_name() -> str:
    """Return a fresh name for an object that is complete and waits to become a part of another one."""
    return f".mla-{secrets.token_hex(4)}.wait"


def may_be_wanted(key: str, modified_seconds: float) -> bool:
    """Tell whether what waits under such a name may still have a writer, which no lock says; times as `time.time`."""
    return is_partial(key) and key.endswith(".wait") and time.time() - modified_seconds < WAITING_SECONDS


def is_partial(key: str) -> bool:
    """Tell whether the last segment of a key is a name of either kind."""
    return _PARTIAL.match(key.rpartition("/")[2]) is not None
