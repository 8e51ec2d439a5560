"""The command line, again and again in one process, each time when it is told to begin.

Each job takes two lines of standard input: ``[url, options, [argument, ...]]`` as JSON, answered by ``ready`` when the
client of that place is loaded, and an empty one, answered by the exit code.
"""

from __future__ import annotations

import contextlib
import json
import sys

from mlflow_archive.cli.main import cli
from mlflow_archive.storage.opening import open_store


def main() -> None:
    for line in sys.stdin:
        url, options, arguments = json.loads(line)
        with contextlib.closing(open_store(url, storage_options=options)) as store:
            store.size_bytes("nothing")
        print("ready", flush=True)
        sys.stdin.readline()
        code: object = 0
        with contextlib.redirect_stdout(sys.stderr):
            try:
                cli.main(arguments, prog_name="mlflow-archive")
            except SystemExit as end:
                code = end.code
        print(code, flush=True)


if __name__ == "__main__":
    main()
