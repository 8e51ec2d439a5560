"""``mlflow-archive doctor STORE_URL``."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING, Any

import click

from mlflow_archive.cli import options, wording
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.failing import one_line
from mlflow_archive.cli.output import Output

if TYPE_CHECKING:
    from mlflow_archive.operations.doctor import DoctorReport
    from mlflow_archive.operations.store_speed import Figures

_WORDS = {"passed": "ok", "failed": "FAILED", "absent": "no"}
#: Keys left behind that are named; JSON has more.
KEYS_SHOWN = 5


@click.command(
    cls=Command,
    short_help="Try out a place for archives.",
    interrupted="What had been written there was deleted.",
)
@click.argument("store_url")
@click.option("--seed", type=int, metavar="N", default=0, show_default=True, help="Of the bytes that are written.")
@options.parallel_option
@options.storage_option
@options.output_option(progress=True)
def doctor(*, store_url: str, seed: int, parallel: int, storage_options: dict[str, Any], output: Output) -> int:
    """Try out a place for archives: what it can do, how fast it is, and what that means for backups.

    STORE_URL is a folder, which need not be there: a local path or a URL. Some 100 MiB are written below a folder
    .mlflow-archive-doctor-<random> there, read back and deleted, also after Ctrl-C.

    The exit code is 1 if the place lacks something that archives cannot do without, 4 if rights are missing.
    """
    from mlflow_archive import api

    with output.watching(steps=True) as observer:
        report = api.doctor(
            store_url, seed=seed, parallelism=parallel, storage_options=storage_options, observer=observer
        )
    output.result(report.to_json(), lambda: findings(report))
    if not report.ok and not output.tells_all:
        output.warn(f"Error: {report.url} cannot hold archives.")
    return int(report.exit_code)


def findings(report: DoctorReport) -> str:
    """Return what was found, as text."""
    lines = [f"{report.url}: {'good for archives' if report.ok else 'NOT good for archives'}", ""]
    for check in report.checks:
        detail = f": {one_line(check.detail)}" if check.detail and check.status != "passed" else ""
        lines.append(f"  {_WORDS[check.status]:6}  {check.title}{detail}")
    if report.figures:
        lines += ["", *_figures(report.figures)]
    if report.advice:
        lines += ["", "What this means for backups:"]
        for sentence in report.advice:
            lines += textwrap.wrap(sentence, 100, initial_indent="  - ", subsequent_indent="    ")
    if report.left_behind:
        lines += ["", "Left behind:", *(f"  {key}" for key in report.left_behind[:KEYS_SHOWN])]
        if len(report.left_behind) > KEYS_SHOWN:
            lines.append(f"  ... and {len(report.left_behind) - KEYS_SHOWN:,} more")
    return "\n".join(lines)


def _figures(figures: Figures) -> list[str]:
    one = wording.table(
        [
            ("write 1 KiB", f"{figures.put_ms_median:.1f} ms", f"{figures.put_ms_p95:.1f} ms"),
            ("read 1 KiB", f"{figures.get_ms_median:.1f} ms", f"{figures.get_ms_p95:.1f} ms"),
        ],
        header=("one after the other", "median", "95 of 100 below"),
        right=(1, 2),
    )
    many = wording.table(
        [
            (
                f"{figures.small_objects:,} objects of 10 KiB, {figures.parallelism} at a time",
                f"{figures.small_puts_per_second:,.0f}/s",
                f"{figures.small_gets_per_second:,.0f}/s",
            ),
            (
                f"one object of {wording.size(figures.stream_bytes)}",
                f"{wording.size(figures.up_bytes_per_second)}/s",
                f"{wording.size(figures.down_bytes_per_second)}/s",
            ),
        ],
        header=("throughput", "up", "down"),
        right=(1, 2),
    )
    return [*one.split("\n"), "", *many.split("\n")]
