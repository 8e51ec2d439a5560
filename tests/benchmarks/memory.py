"""Peak memory of a backup, where there is much of one thing: it must not grow with it.

    python -m tests.benchmarks.memory [--points 5000000] [--runs 100000] [--file-gb 5]

Each number may be 0, which leaves that part out. An empty server is measured first, to compare with.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.filling import Filling
from tests.benchmarks.measuring import measure, table
from tests.servers import EmptyDatabases, MlflowServer


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the peak memory of backups.")
    parser.add_argument("--points", type=int, default=5_000_000, help="points of one run, in one metric")
    parser.add_argument("--runs", type=int, default=100_000, help="runs of one experiment")
    parser.add_argument("--file-gb", type=float, default=5, help="size of one file")
    parser.add_argument("--directory", type=Path, help="where there is room (default: the temporary directory)")
    options = parser.parse_args()
    scenes: dict[str, Callable[[Filling], object]] = {"an empty server": lambda filling: None}
    if options.points:
        scenes[f"one run with {options.points:,} points"] = lambda filling: filling.metrics(
            filling.runs(1, 1), 1, options.points
        )
    if options.runs:
        scenes[f"an experiment with {options.runs:,} runs"] = lambda filling: filling.metrics(
            filling.runs(1, options.runs, params=2, tags=2), 1, 1
        )
    if options.file_gb:
        size = int(options.file_gb * 10**9)
        scenes[f"a file of {options.file_gb:g} GB"] = lambda filling: filling.file(
            1, filling.runs(1, 1)[0], "big.bin", size
        )
    rows = [("", "peak RSS", "seconds", "requests")]
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        databases = EmptyDatabases(Path(name))
        for number, (title, fill) in enumerate(scenes.items()):
            rows.append((title, *_measure(Path(name) / str(number), databases, fill)))
            print(rows[-1], file=sys.stderr)
    print(table(rows))


def _measure(where: Path, databases: EmptyDatabases, fill: Callable[[Filling], object]) -> tuple[str, str, str]:
    (where / "artifacts").mkdir(parents=True)
    databases.copy_to(where / "mlflow.db", sys.executable, "mlflow-artifacts:/")
    filling = Filling(where / "mlflow.db", where / "artifacts")
    filling.experiment(1, "much")
    fill(filling)
    with MlflowServer(where) as server:
        target = str(where / "archive")
        command = [sys.executable, "-m", "mlflow_archive", "backup", target, "--tracking-uri", server.uri]
        cost = measure(command, server)
    return f"{cost.peak_rss_mib:.0f} MiB", f"{cost.seconds:.0f}", f"{cost.requests:,}"


if __name__ == "__main__":
    main()
