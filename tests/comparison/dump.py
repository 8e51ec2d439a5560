"""Writes everything MLflow's client shows of a server as JSON lines, one for each object.

A line is ``{"kind", "key", "id", "named", "source_id", "fields"}``: ``named`` objects are found again by ``key``, the
others by their id. Runs under any MLflow from 2.9 on; nothing here imports the package.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path


def main() -> None:
    uri, target = sys.argv[1:]
    # Some of MLflow's lazy properties know only the global server.
    os.environ["MLFLOW_TRACKING_URI"] = uri
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR"] = "false"
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"
    sys.path[0] = str(Path(__file__).resolve().parents[2])

    write(uri, target)


def write(uri: str, target: str) -> None:
    """Write the lines of a server; the surroundings are as `main` makes them."""
    from tests.comparison.reading import read_server

    with Path(target).open("w", encoding="utf-8") as out:
        for row in read_server(uri):
            out.write(json.dumps(row, sort_keys=True) + "\n")


if __name__ == "__main__":
    main()
