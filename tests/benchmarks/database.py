"""A database backed up by SQL, over the API and by mlflow-export-import; and restored exactly.

    python -m tests.benchmarks.database --incumbent /venv/with/mlflow-export-import/bin/export-experiments

2,000 runs in 40 experiments, with 20 metrics of 50 steps, no files. mlflow-export-import exports some of the
experiments, in as many threads as it takes; its figures for all of them are extrapolated, with what it takes for an
empty experiment counted once. The archive with tables is then restored exactly into SQLite, PostgreSQL and MariaDB, and
what came of it is backed up by SQL.
"""

from __future__ import annotations

import argparse
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

from tests.benchmarks.filling import Filling
from tests.benchmarks.measuring import table
from tests.benchmarks.processes import Spent, run
from tests.databases import MariaDB, PostgreSQL, SqliteFiles
from tests.servers import EmptyDatabases, MlflowServer

OURS = (sys.executable, "-m", "mlflow_archive")
EXACT = "exact restore"
BESIDE = ("server", "postgresql", "mariadb")
#: What of a backup by SQL, and the options for it.
WAYS = (("", ()), (" --without database", ("--without", "database")), (" --only database", ("--only", "database")))


class Benchmark:
    """The files of one round, and its rows."""

    def __init__(self, directory: Path, options: argparse.Namespace) -> None:
        self._directory = directory
        self._options = options
        self._names = [f"benchmark-{number:03}" for number in range(options.experiments)]
        self._server = directory / "server"
        self._archive = ""
        self.measured: list[tuple[str, Spent]] = []
        self.row_count = 0

    def fill(self) -> None:
        """Make the database that is backed up."""
        options = self._options
        (self._server / "artifacts").mkdir(parents=True)
        EmptyDatabases(self._directory).copy_to(self._database, sys.executable, "mlflow-artifacts:/")
        filling = Filling(self._database, self._server / "artifacts")
        for number, name in enumerate(self._names, 1):
            filling.experiment(number, name)
            run_ids = filling.runs(number, options.runs // options.experiments, params=10, tags=5)
            filling.metrics(run_ids, options.metrics, options.steps)
        with closing(sqlite3.connect(self._database)) as connection:
            tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
            counts = (connection.execute(f'SELECT count(*) FROM "{name}"').fetchone()[0] for (name,) in tables)
            self.row_count = sum(counts)

    def by_sql(self, uri: str, title: str, ways: Sequence[tuple[str, tuple[str, ...]]] = WAYS) -> None:
        """Back up a database without a server."""
        files = ("--artifacts-destination", str(self._server / "artifacts"))
        for way, how in ways:
            target = self._new("archive")
            self._run(f"SQL backup of {title}{way}", [*OURS, "backup", target, "--tracking-uri", uri, *files, *how])
            self._archive = self._archive or target

    def by_api(self) -> None:
        """Back up a server on a copy of the database, by this tool and by the other."""
        where = self._directory / "copy"
        shutil.copytree(self._server, where)
        with MlflowServer(where) as server:
            uri = server.uri
            self._run("API backup", [*OURS, "backup", self._new("archive"), "--tracking-uri", uri])
            if self._options.incumbent:
                self._incumbent(uri)

    def _incumbent(self, uri: str) -> None:
        some = self._names[:: len(self._names) // self._options.part]
        for names in (["Default"], some):
            what = ("--experiments", ",".join(names), "--use-threads", "True", "--output-dir", self._new("export"))
            title = (
                f"mlflow-export-import, {len(names)} experiments" if names == some else "mlflow-export-import, empty"
            )
            self._run(title, [self._options.incumbent, *what], {"MLFLOW_TRACKING_URI": uri})
        (_, nothing), (title, part) = self.measured[-2:]
        times = len(self._names) / len(some)
        seconds, cpu, served = (
            getattr(nothing, field) + (getattr(part, field) - getattr(nothing, field)) * times
            for field in ("seconds", "cpu_seconds", "server_cpu_seconds")
        )
        whole = Spent(seconds, cpu, served, part.peak_rss_mib)
        self.measured.append((f"mlflow-export-import, extrapolated to {len(self._names)}", whole))

    def exactly(self, uri: str, title: str) -> None:
        """Restore the first archive exactly into a database, and back that up."""
        restore = [*OURS, "restore", self._archive, "--exact", "--without", "artifacts", "--tracking-uri", uri]
        self._run(f"{EXACT} into {title}", restore)

    @property
    def uri(self) -> str:
        """The database that is backed up."""
        return f"sqlite:///{self._database}"

    @property
    def _database(self) -> Path:
        return self._server / "mlflow.db"

    def _new(self, word: str) -> str:
        return str(self._directory / f"{word}-{len(self.measured)}")

    def _run(self, title: str, command: Sequence[str], env: dict[str, str] | None = None) -> None:
        spent = run(command, self._directory / "command.log", env)
        self.measured.append((title, spent))
        print(f"{title}: {spent}", file=sys.stderr)


def main() -> None:
    parser = argparse.ArgumentParser(description="Measure backups by SQL and exact restores.")
    parser.add_argument("--incumbent", help="path of the export-experiments command of mlflow-export-import")
    parser.add_argument("--part", type=int, default=4, help="of how many experiments that is measured")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--experiments", type=int, default=40)
    parser.add_argument("--metrics", type=int, default=20)
    parser.add_argument("--steps", type=int, default=50)
    parser.add_argument("--beside", nargs="*", default=BESIDE, choices=BESIDE, help="what is measured beside SQLite")
    parser.add_argument("--directory", type=Path, help="where there is room (default: the temporary directory)")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as name:
        benchmark = Benchmark(Path(name), options)
        benchmark.fill()
        benchmark.by_sql(benchmark.uri, "SQLite")
        if "server" in options.beside:
            benchmark.by_api()
        benchmark.exactly(SqliteFiles(Path(name)).new_database(), "SQLite")
        for title, server in (("PostgreSQL", PostgreSQL), ("MariaDB", MariaDB)):
            if title.lower() not in options.beside:
                continue
            with server() as place:
                uri = place.new_database()
                benchmark.exactly(uri, title)
                benchmark.by_sql(uri, title, WAYS[:2])
    print(_report(options, benchmark))


def _report(options: argparse.Namespace, benchmark: Benchmark) -> str:
    points = options.runs * options.metrics * options.steps
    rows = [("", "seconds", "CPU seconds", "of servers", "peak RSS", "rows a CPU second")]
    for title, spent in benchmark.measured:
        times = (f"{number:,.1f}" for number in (spent.seconds, spent.cpu_seconds, spent.server_cpu_seconds))
        pace = benchmark.row_count / (spent.cpu_seconds + spent.server_cpu_seconds)
        shown = f"{pace:,.0f}" if title.startswith(EXACT) else ""
        rows.append((title, *times, f"{spent.peak_rss_mib:.0f} MiB", shown))
    return f"{options.runs:,} runs, {points:,} points, {benchmark.row_count:,} rows\n\n{table(rows)}"


if __name__ == "__main__":
    main()
