"""A process of our own in which MLflow may do what it likes: one order in, one answer out, and it ends when we do.

The order goes over standard input, so that nothing in it (tokens, passwords) is in a list of processes.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from mlflow_archive.errors import MlflowArchiveError, UnavailableError, UnsupportedError, UsageError

_END_SECONDS = 10.0


def private_folder(work_directory: Path | None) -> Path:
    """Make a folder that only we can read; the caller removes it.

    Raises:
        UsageError: None can be made there.
    """
    try:
        return Path(tempfile.mkdtemp(prefix="mlflow-archive-", dir=work_directory)).absolute()
    except OSError as error:
        where = work_directory or tempfile.gettempdir()
        raise UsageError(
            f"No private folder can be made in {where}: {error.strerror}.", code="work_directory"
        ) from None


def environment_of(own: Mapping[str, str]) -> dict[str, str]:
    """Return our environment without what is meant for another server, and with what is the child's own."""
    kept = {name: value for name, value in os.environ.items() if not _is_for_another_server(name)}
    shared = {
        # Relative entries would mean another folder there.
        "PYTHONPATH": os.pathsep.join(str(Path(entry or ".").absolute()) for entry in sys.path),
        "PYTHONUNBUFFERED": "1",
        "PYTHONUTF8": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
    }
    return {**kept, **shared, **own}


def start(
    module: str,
    order: Mapping[str, object],
    *,
    subject: str,
    scratch: Path,
    environment: Mapping[str, str],
    hidden: Sequence[str] = (),
) -> tuple[subprocess.Popen[bytes], dict[str, Any]]:
    """Run a module, give it its order and return its answer.

    Args:
        module: Its `main` begins with `heard`.
        order: Goes over standard input.
        subject: What MLflow is to open, for the sentence that it could not; no credential.
        scratch: The child's working folder, for its log too.
        environment: Of the child, complete.
        hidden: What must be in no message, wherever MLflow's own words have it.

    Returns:
        The process, to be given to `end`, and what it answered.

    Raises:
        UnsupportedError: The child says why not.
        UnavailableError: It ended without an answer; the last line of its log is told.
    """
    log = scratch / "child.log"
    with log.open("wb") as log_file:
        child = subprocess.Popen(  # noqa: S603 - a module of ours
            [sys.executable, "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log_file,
            cwd=scratch,
            env=dict(environment),
            # Ctrl-C is for us: the child must live until what is under way has been settled.
            start_new_session=True,
        )
    try:
        return child, _agree(child, {**order, "scratch": str(scratch)}, subject, log, hidden)
    except BaseException:
        end(child)
        raise


def end(child: subprocess.Popen[bytes]) -> None:
    """Close the pipe, upon which the child ends, and see to it that it does."""
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            pipe.close()
    try:
        child.wait(_END_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def heard() -> tuple[dict[str, Any], Callable[[Mapping[str, object]], None]]:
    """Return the order and what takes the answer; in the child. When the parent is gone, the child ends at once."""
    # Whatever a library prints must not get between us and the parent.
    answer = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    order: dict[str, Any] = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, args=(str(order.pop("scratch")),), daemon=True).start()

    def reply(message: Mapping[str, object]) -> None:
        answer.write(json.dumps(message) + "\n")
        answer.close()

    return order, reply


def refusal(error: MlflowArchiveError) -> dict[str, object]:
    """Return the answer that says why not; in the child."""
    return {"code": error.code, "error": str(error)}


def _agree(
    child: subprocess.Popen[bytes], order: Mapping[str, object], subject: str, log: Path, hidden: Sequence[str]
) -> dict[str, Any]:
    line = b""
    if child.stdin is not None and child.stdout is not None:
        try:
            child.stdin.write(json.dumps(order).encode() + b"\n")
            child.stdin.flush()
            line = child.stdout.readline()
        except BrokenPipeError:
            line = b""
    if not line:
        tail = log.read_text(encoding="utf-8", errors="replace").strip().rpartition("\n")[2]
        tail = _without(tail, hidden)[:500].rstrip(".")
        raise UnavailableError(f"MLflow could not open {subject}: {tail or 'it gave no reason'}.", code="embedded")
    answer: dict[str, Any] = json.loads(line)
    if "error" in answer:
        raise UnsupportedError(_without(str(answer["error"]), hidden), code=str(answer["code"]))
    return answer


def _without(text: str, hidden: Sequence[str]) -> str:
    for secret in hidden:
        text = text.replace(secret, "***")
    return text


def _end_with_parent(scratch: str) -> None:
    while os.read(0, 4096):
        continue
    shutil.rmtree(scratch, ignore_errors=True)
    os._exit(0)


def _is_for_another_server(name: str) -> bool:
    """Tell whether a variable says where and how to reach, or how to run, a server that is not this one."""
    return name.startswith(
        ("MLFLOW_TRACKING_", "MLFLOW_REGISTRY_", "MLFLOW_SERVER_", "_MLFLOW_", "MLFLOW_WORKSPACE", "MLFLOW_EXPERIMENT_")
    ) or name in (
        "MLFLOW_RUN_ID",
        "MLFLOW_BACKEND_STORE_URI",
        "MLFLOW_ARTIFACTS_DESTINATION",
        "prometheus_multiproc_dir",
    )
