"""Peak memory of a backup, where there is much of one thing: it must not grow with it.

    python -m tests.benchmarks.memory [--points 5000000] [--runs 100000] [--spans 1000000] [--file-gb 5] [--by-sql]

Each number may be 0, which leaves that part out. An empty server is measured first, to compare with. With --by-sql the
database is read without a server, and its tables come along.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.filling import Filling
from tests.benchmarks.measuring import measure, table
from tests.benchmarks.processes import run
from tests.servers import EmptyDatabases, MlflowServer

BACKUP = (sys.executable, "-m", "mlflow_archive", "backup")
Fill = Callable[[Filling], object]


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure the peak memory of backups.")
    parser.add_argument("--points", type=int, default=5_000_000, help="points of one run, in one metric")
    parser.add_argument("--runs", type=int, default=100_000, help="runs of one experiment")
    parser.add_argument("--spans", type=int, default=0, help="spans, in traces of 1,000; and a tenth of them in one")
    parser.add_argument("--file-gb", type=float, default=5, help="size of one file")
    parser.add_argument("--by-sql", action="store_true", help="read the database without a server")
    parser.add_argument("--directory", type=Path, help="where there is room (default: the temporary directory)")
    options = parser.parse_args()
    rows = [("", "peak RSS", "seconds", "CPU seconds" if options.by_sql else "requests")]
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        databases = EmptyDatabases(Path(name))
        for number, (title, fill) in enumerate(_scenes(options).items()):
            rows.append((title, *_measure(Path(name) / str(number), databases, fill, by_sql=options.by_sql)))
            print(rows[-1], file=sys.stderr)
    print(table(rows))


def _scenes(options: argparse.Namespace) -> dict[str, Fill]:
    scenes: dict[str, Fill] = {"an empty server": lambda filling: None}
    if options.points:
        scenes[f"one run with {options.points:,} points"] = lambda filling: filling.metrics(
            filling.runs(1, 1), 1, options.points
        )
    if options.runs:
        scenes[f"an experiment with {options.runs:,} runs"] = lambda filling: filling.metrics(
            filling.runs(1, options.runs, params=2, tags=2), 1, 1
        )
    if options.spans:
        scenes[f"{options.spans:,} spans in traces of 1,000"] = lambda filling: filling.traces(
            1, options.spans // 1000, 1000
        )
        scenes[f"one trace with {options.spans // 10:,} spans"] = lambda filling: filling.traces(
            1, 1, options.spans // 10
        )
    if options.file_gb:
        size = int(options.file_gb * 10**9)
        scenes[f"a file of {options.file_gb:g} GB"] = lambda filling: filling.file(
            1, filling.runs(1, 1)[0], "big.bin", size
        )
    return scenes


def _measure(where: Path, databases: EmptyDatabases, fill: Fill, *, by_sql: bool) -> tuple[str, str, str]:
    (where / "artifacts").mkdir(parents=True)
    databases.copy_to(where / "mlflow.db", sys.executable, "mlflow-artifacts:/")
    filling = Filling(where / "mlflow.db", where / "artifacts")
    filling.experiment(1, "much")
    fill(filling)
    command = [*BACKUP, str(where / "archive"), "--tracking-uri"]
    if by_sql:
        files = ("--artifacts-destination", str(where / "artifacts"))
        spent = run([*command, f"sqlite:///{where / 'mlflow.db'}", *files], where / "command.log")
        return f"{spent.peak_rss_mib:.0f} MiB", f"{spent.seconds:.0f}", f"{spent.cpu_seconds:.0f}"
    with MlflowServer(where) as server:
        cost = measure([*command, server.uri], server)
    return f"{cost.peak_rss_mib:.0f} MiB", f"{cost.seconds:.0f}", f"{cost.requests:,}"


if __name__ == "__main__":
    main()
