"""A real process that is asked to stop."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

PROGRAM = """
import signal, sys, time
# A shell starts its background jobs deaf to Ctrl-C, and so would be this program below one.
signal.signal(signal.SIGINT, signal.default_int_handler)
from mlflow_archive import api
from mlflow_archive.cli.main import main

def backup(*args, **kwargs):
    print("under way", flush=True)
    time.sleep(60)

api.backup = backup
sys.argv = ["mlflow-archive", "backup", "x", "--quiet"]
main()
"""


@pytest.mark.parametrize("signal_number", [signal.SIGINT, signal.SIGTERM])
def test_exit_130_when_asked_to_stop(signal_number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "under way\n"
        process.send_signal(signal_number)
        _, stderr = process.communicate(timeout=60)

    assert process.returncode == 130
    assert stderr == (
        "Interrupted. What was written is kept but is no archive yet; the same command with --resume goes on with it. "
        "Of a tarball nothing is kept.\n"
    )
