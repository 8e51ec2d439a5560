"""Command line: fill one server, print the inventory as one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description="Fill an MLflow server with every kind of object.")
    parser.add_argument("uri", help="http://host:port of the server")
    parser.add_argument("--small", action="store_true", help="leave out what is only large")
    arguments = parser.parse_args()
    # The fluent API has one global server, and background export could outlive this process.
    os.environ["MLFLOW_TRACKING_URI"] = arguments.uri
    os.environ["MLFLOW_ENABLE_ASYNC_TRACE_LOGGING"] = "false"
    os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"
    os.environ["MLFLOW_HTTP_REQUEST_MAX_RETRIES"] = "2"
    if not __package__:
        # Run by path: the folder itself is on the path, and modules of the same name as MLflow's would hide them.
        sys.path[0] = str(REPOSITORY)

    from tests.seeding.everything import seed

    print(json.dumps(seed(arguments.uri, small=arguments.small), sort_keys=True))


main()
