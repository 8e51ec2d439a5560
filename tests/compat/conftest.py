"""A fresh environment with both distributions installed in it as a user would, without an index."""

from __future__ import annotations

import os
import subprocess
import sys
import sysconfig
import venv
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


@dataclass(frozen=True)
class Environment:
    """A virtual environment that also sees what is installed beside the tests, so that nothing is downloaded.

    Attributes:
        root: Where it is.
        wheels: Where the wheels are that are installed into it.
    """

    root: Path
    wheels: Path

    @property
    def scripts(self) -> Path:
        """The folder of its console scripts."""
        return self.root / "bin"

    def pip_install(self, *words: str) -> None:
        """Install something; a failure ends the test with pip's own words."""
        command = [str(self.scripts / "python"), "-m", "pip", "install", "--no-index", "--disable-pip-version-check"]
        run([*command, *words], cwd=self.root)

    def script_names(self) -> set[str]:
        """Return the names of the console scripts that are ours."""
        return {
            path.name
            for path in self.scripts.iterdir()
            if path.is_file() and not path.is_symlink() and "mlflow_archive" in path.read_text("utf-8", "replace")
        }


def run(command: list[str], cwd: Path) -> None:
    done = subprocess.run(command, cwd=cwd, env=outside(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stdout[-2000:]}\n{done.stderr[-4000:]}"


def outside() -> dict[str, str]:
    """Return this process's environment without what would lead to the checkout, to a server or to an index."""
    ours = ("PYTHONPATH", "MLFLOW_", "PIP_")
    return {name: value for name, value in os.environ.items() if not name.startswith(ours)}


@pytest.fixture(scope="package")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with ``mlflow-archive`` alone, and the wheels of both distributions beside it."""
    root, wheels = tmp_path_factory.mktemp("environment"), tmp_path_factory.mktemp("wheels")
    for project in (ROOT, ROOT / "compat"):
        run([sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(wheels)], cwd=project)
    venv.create(root, with_pip=True, symlinks=True)
    own = sysconfig.get_path("purelib", vars={"base": str(root), "platbase": str(root)})
    beside = {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}
    Path(own, "beside.pth").write_text("\n".join(beside) + "\n", encoding="utf-8")
    made = Environment(root, wheels)
    (wheel,) = wheels.glob("mlflow_archive-*.whl")
    made.pip_install("--no-deps", "--ignore-installed", str(wheel))
    return made


@pytest.fixture(scope="package")
def compat_environment(environment: Environment) -> Environment:
    """The same environment after the scripts of the old names were asked for."""
    alone = environment.script_names()
    assert alone == {"mlflow-archive"}, "without the extra, no name of mlflow-export-import is taken"
    environment.pip_install("--find-links", str(environment.wheels), "mlflow-archive[compat-scripts]")
    return environment
