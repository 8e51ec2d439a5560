"""``mlflow-archive diff LEFT RIGHT``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

from mlflow_archive.cli import options, wording
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.failing import one_line
from mlflow_archive.cli.output import Output

if TYPE_CHECKING:
    from mlflow_archive.operations.diff import DiffReport
    from mlflow_archive.stream import ObjectKey

#: Objects of one list that are named; JSON has them all.
OBJECTS_SHOWN = 20
#: Fields of one object that are named.
FIELDS_SHOWN = 5


@click.command(
    cls=Command, short_help="Compare archives and servers.", interrupted="Comparing changes nothing; run it again."
)
@click.argument("left")
@click.argument("right")
@options.selection_option()
@options.parallel_option
@options.both_storage_options("LEFT", "RIGHT")
@options.output_option(progress=True)
def diff(
    *,
    left: str,
    right: str,
    wishes: dict[str, Any],
    parallel: int,
    storage_options: dict[str, Any],
    src_storage_options: dict[str, Any],
    dst_storage_options: dict[str, Any],
    output: Output,
) -> int:
    """Compare two sides, object by object: archives and servers in any combination.

    LEFT and RIGHT are archives (a path or a URL), servers (http://...) or databases (sqlite:///..., postgresql://...).
    Objects are matched by id, or by the tags that a restore leaves. What no restore can set over MLflow's API (ids,
    some times, the places of files) is left out. The exit code is 0 if everything is equal, 1 if something differs.

    With --only database the tables of two databases are compared instead, row by row and with every id, as an exact
    restore leaves them.
    """
    from mlflow_archive import api

    with output.watching() as observer:
        report = api.diff(
            left,
            right,
            artifacts="artifacts" not in wishes["without"],
            parallelism=parallel,
            storage_options=storage_options,
            src_storage_options=src_storage_options,
            dst_storage_options=dst_storage_options,
            observer=observer,
            **wishes,
        )
    output.result(report.to_json(), lambda: comparison(report))
    return int(report.exit_code)


def comparison(report: DiffReport) -> str:
    """Return what is equal and what is not, as text."""
    from mlflow_archive.cli.summary import losses

    lines = [f"left   {report.left}", f"right  {report.right}", ""]
    lines.append(_table(report))
    lines += _objects(f"Only in {report.left}", report.only_left)
    lines += _objects(f"Only in {report.right}", report.only_right)
    if report.different:
        lines += ["", "Different:"]
        for difference in report.different[:OBJECTS_SHOWN]:
            fields = [*difference.fields[:FIELDS_SHOWN]]
            if len(difference.fields) > FIELDS_SHOWN:
                fields.append(f"and {len(difference.fields) - FIELDS_SHOWN} more")
            lines.append(f"  {_name(difference.left)}: {one_line(', '.join(fields)) or 'differs'}")
        lines += _more(len(report.different))
    lines += losses(report.losses, "printed by --json")
    if report.notes:
        lines += ["", *(f"Note: {note}" for note in report.notes)]
    lines += ["", _verdict(report)]
    return "\n".join(lines)


def _verdict(report: DiffReport) -> str:
    if not report.same:
        number = len(report.different) + len(report.only_left) + len(report.only_right)
        return f"Different: {wording.count(number, 'object')}"
    if report.losses:
        return "Equal, as far as it could be read"
    return "Equal"


def _table(report: DiffReport) -> str:
    different = [difference.left.kind.value for difference in report.different]
    left = [key.kind.value for key in report.only_left]
    right = [key.kind.value for key in report.only_right]
    rows = [
        (wording.kind(kind), *(f"{number:,}" for number in numbers))
        for kind in dict.fromkeys([*report.equal, *different, *left, *right])
        if any(numbers := (report.equal.get(kind, 0), different.count(kind), left.count(kind), right.count(kind)))
    ]
    if not rows:
        return "  Nothing on either side."
    return wording.table(rows, header=("", "equal", "different", "only left", "only right"), right=(1, 2, 3, 4))


def _objects(title: str, keys: Sequence[ObjectKey]) -> list[str]:
    if not keys:
        return []
    return ["", f"{title}:", *(f"  {_name(key)}" for key in keys[:OBJECTS_SHOWN]), *_more(len(keys))]


def _name(key: ObjectKey) -> str:
    name = f" ({one_line(wording.shortened(key.name, 50))})" if key.name and key.name != key.id else ""
    return f"{key.kind.value.replace('_', ' ')} {key.id}{name}"


def _more(number: int) -> list[str]:
    return [f"  ... and {number - OBJECTS_SHOWN:,} more; --json lists all."] if number > OBJECTS_SHOWN else []
