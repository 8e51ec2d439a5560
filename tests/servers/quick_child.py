"""The child of `tests.servers.quick`: has MLflow imported, and forks for each server that it is asked for.

Reads orders from standard input, one JSON object a line, and answers each with one. When the input ends, whoever
started it is gone, and it ends with all that it made.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]


def serve(port: int, env: dict[str, str], log: str) -> dict[str, Any]:
    """Serve MLflow's application by uvicorn in a process of its own, as ``mlflow server`` does."""
    id = os.fork()
    if id:
        return {"id": id}
    _to(log)
    os.environ.update(env)
    import uvicorn
    from mlflow.server.fastapi_app import app

    uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
    os._exit(1)


def call(function: str, uri: str, target: str, log: str) -> dict[str, Any]:
    """Call a function of a module of the tests, with the server and a file as arguments, in a process of its own."""
    id = os.fork()
    if id:
        _, status = os.waitpid(id, 0)
        return {"failed": status != 0}
    _to(log)
    try:
        import mlflow

        # Some of MLflow's lazy properties know only the global server.
        mlflow.set_tracking_uri(uri)
        module, _, name = function.partition(":")
        getattr(__import__(module, fromlist=[name]), name)(uri, target)
    except BaseException:  # noqa: BLE001 - whatever it is, it is told by the log
        traceback.print_exc()
        os._exit(1)
    sys.stderr.flush()
    os._exit(0)


def end(id: int) -> dict[str, Any]:
    """End a server at once."""
    os.kill(id, signal.SIGKILL)
    os.waitpid(id, 0)
    return {}


def _to(log: str) -> None:
    """Send what is printed to a file, and leave the orders alone."""
    file = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(file, 1)
    os.dup2(file, 2)


def main() -> None:
    sys.path[0] = str(ROOT)
    # Before the first fork, so that each process has it already.
    import mlflow.server.fastapi_app
    import mlflow.store.tracking.sqlalchemy_store
    import uvicorn  # noqa: F401

    orders = {"serve": serve, "call": call, "end": end}
    print(json.dumps({"version": mlflow.version.VERSION}), flush=True)
    for line in sys.stdin:
        order = json.loads(line)
        answer = orders[order.pop("do")](**order)
        print(json.dumps(answer), flush=True)
    os.killpg(0, signal.SIGKILL)


main()
