"""What ``mlflow-archive doctor`` says of each emulator: ``python -m tests.benchmarks.doctor_table [NAME ...]``.

The emulators are started one after the other; a name is a part of one of `PLACES`' names.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.storage.emulators.places import PLACES


def main() -> None:
    wanted = [name.lower() for name in sys.argv[1:]] or [""]
    for name, started in PLACES.items():
        if not any(part in name.lower() for part in wanted):
            continue
        with tempfile.TemporaryDirectory() as directory, started(Path(directory)) as place:
            command = [sys.executable, "-m", "mlflow_archive", "doctor", place.url, *place.arguments()]
            answer = subprocess.run(command, capture_output=True, text=True, check=False)
        told = [line for line in answer.stderr.splitlines() if not line.endswith("...")]  # what are no steps
        print(f"## {name}", "", *told, answer.stdout, f"Exit code {answer.returncode}", "", sep="\n", flush=True)


if __name__ == "__main__":
    main()
