"""Installs PostgreSQL and MariaDB, called by ``python -m tests.storage.emulators.installing``.

Only the programs are needed: the suite starts servers of its own, and no service of the system.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

#: Where packages put programs that are not on every user's path.
FOLDERS = [Path("/usr/sbin"), Path("/usr/bin"), Path("/usr/local/sbin"), Path("/usr/local/bin")]
#: The program that tells of a package -> the package, with Debian's and Ubuntu's name.
PACKAGES = {
    "postgres": "postgresql",
    "initdb": "postgresql",
    "mariadbd": "mariadb-server-core",
    "mariadb-install-db": "mariadb-server-core",
    "my_print_defaults": "mariadb-client-core",
}


def program(name: str) -> Path | None:
    """Return where a program of a database server is, the newest where there are many; None: it is not installed."""
    versions = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name), reverse=True)
    for folder in [*versions, *FOLDERS]:
        if (folder / name).exists():
            return folder / name
    found = shutil.which(name)
    return Path(found) if found else None


def install_database_servers() -> None:
    """Install what is missing by apt.

    Raises:
        SystemExit: Something is missing, and this user may not install it.
    """
    missing = sorted({package for name, package in PACKAGES.items() if program(name) is None})
    if not missing:
        return
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        raise SystemExit(f"The tests need {', '.join(missing)}: install them with the system's package manager.")
    # PostgreSQL's package would make and start a server of its own, which nobody needs here.
    settings = Path("/etc/postgresql-common/createcluster.conf")
    if "postgresql" in missing and not settings.exists():
        settings.parent.mkdir(parents=True, exist_ok=True)
        settings.write_text("create_main_cluster = false\n", encoding="utf-8")
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    install = ["apt-get", "install", "--yes", "--no-install-recommends", "-o", "Dpkg::Options::=--force-confold"]
    subprocess.run(["apt-get", "update", "--quiet"], check=True, env=env)
    subprocess.run([*install, *missing], check=True, env=env)
