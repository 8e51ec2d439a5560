"""Backup of one server by mlflow-archive, and by mlflow-export-import, side by side on the same machine.

    python -m tests.benchmarks.incumbent --incumbent /venv/with/mlflow-export-import/bin/export-experiments

The server (SQLite, one worker, artifacts through the server) has 300 runs with 20 metrics of 50 steps and 5 files of
16 KiB each. Both tools write the whole of it to the local disk, in turn; the order changes from round to round.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.filling import Filling
from tests.benchmarks.measuring import Cost, measure, table
from tests.servers import EmptyDatabases, MlflowServer

OURS, THEIRS = "mlflow-archive backup", "export-experiments --use-threads True"


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure a backup beside mlflow-export-import.")
    parser.add_argument("--incumbent", required=True, help="path of its export-experiments command")
    parser.add_argument("--runs", type=int, default=300)
    parser.add_argument("--metrics", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--files", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        with MlflowServer(_filled(directory, options)) as server:
            costs = _rounds(server, directory, options)
    print(_report(options, costs))


def _filled(directory: Path, options: argparse.Namespace) -> Path:
    """Fill the directory of a server that is not running yet."""
    where = directory / "server"
    (where / "artifacts").mkdir(parents=True)
    EmptyDatabases(directory).copy_to(where / "mlflow.db", sys.executable, "mlflow-artifacts:/")
    filling = Filling(where / "mlflow.db", where / "artifacts")
    filling.experiment(1, "benchmark")
    run_ids = filling.runs(1, options.runs, params=10, tags=5)
    filling.metrics(run_ids, options.metrics, options.steps)
    for run_id in run_ids:
        for number in range(options.files):
            filling.file(1, run_id, f"files/{number}.bin", 16 * 1024)
    return where


def _rounds(server: MlflowServer, directory: Path, options: argparse.Namespace) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {OURS: [], THEIRS: []}
    for number in range(options.rounds):
        for tool in (OURS, THEIRS) if number % 2 else (THEIRS, OURS):
            target = str(directory / f"{number}-{'ours' if tool == OURS else 'theirs'}")
            command = (
                [sys.executable, "-m", "mlflow_archive", "backup", target, "--tracking-uri", server.uri]
                if tool == OURS
                else [options.incumbent, "--experiments", "all", "--output-dir", target, "--use-threads", "True"]
            )
            costs[tool].append(measure(command, server, {"MLFLOW_TRACKING_URI": server.uri}))
            print(f"round {number + 1}: {tool}: {costs[tool][-1]}", file=sys.stderr)
    return costs


def _report(options: argparse.Namespace, costs: dict[str, list[Cost]]) -> str:
    points = options.runs * options.metrics * options.steps
    rows = [("", "seconds", "CPU seconds", "requests", "peak RSS")]
    medians = {}
    for tool, measured in costs.items():
        medians[tool] = [
            statistics.median(getattr(cost, field) for cost in measured)
            for field in ("seconds", "cpu_seconds", "requests", "peak_rss_mib")
        ]
        seconds, cpu, requests, rss = medians[tool]
        rows.append((f"`{tool}`", f"{seconds:.1f}", f"{cpu:.1f}", f"{requests:.0f}", f"{rss:.0f} MiB"))
    ratios = [theirs / ours for ours, theirs in zip(medians[OURS], medians[THEIRS], strict=True)]
    rows.append(("ratio", *(f"{ratio:.1f}" for ratio in ratios)))
    what = f"{options.runs} runs, {points:,} metric points, {options.runs * options.files} files"
    return f"{what}; median of {options.rounds}\n\n{table(rows)}"


if __name__ == "__main__":
    main()
