"""A backup by a process that may not write files beyond a size.

    python -m tests.storage.packed.full URL CONTAINER SIZE

To the process a limit of files is what a full disk is; it writes its exit code and its sentence.
"""

from __future__ import annotations

import json
import random
import resource
import sys

from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.operations.backup import archive
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.containers import Packing, begin_container
from tests.archive.fakes import FakeSource, sample_source

#: The one file that is too large for the disk.
LARGE_BYTES = 3 << 20


def source() -> FakeSource:
    """Return small objects and a large one that does not compress."""
    made = sample_source(experiments=2, runs=2)
    last = [item for item in made.objects if ("artifacts", "model/weights.bin") in item.files][-1]
    last.files["artifacts", "model/weights.bin"] = random.Random(0).randbytes(LARGE_BYTES)
    return made


def backup(url: str, container: str, *, resume: bool = False) -> tuple[int, str]:
    """Return the exit code and the sentence."""
    packing = Packing(container=container, volume_bytes=1 << 20)  # type: ignore[arg-type]
    try:
        store = begin_container(url, packing, parallelism=2)
        try:
            archive(source(), store, Selection(), resume=resume, parallelism=2)
        finally:
            store.close()
    except MlflowArchiveError as error:
        return error.exit_code, str(error)
    return 0, ""


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), resource.RLIM_INFINITY))
    sys.stdout.write(json.dumps(backup(sys.argv[1], sys.argv[2])))
