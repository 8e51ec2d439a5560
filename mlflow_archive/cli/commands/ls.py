"""``mlflow-archive ls URL``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from mlflow_archive.cli import options, wording
from mlflow_archive.cli.command import Command
from mlflow_archive.cli.failing import one_line
from mlflow_archive.cli.output import Output
from mlflow_archive.cli.values import KIND_WORDS

if TYPE_CHECKING:
    from mlflow_archive.operations.listed import Listing, Row, SectionRows
    from mlflow_archive.spec.canonical import JSONObject


@click.command(cls=Command, short_help="List what an archive holds.")
@click.argument("url")
@click.option("--experiment", metavar="NAME|ID", help="List what is below this experiment: its runs, traces, models.")
@click.option("--kind", type=click.Choice(KIND_WORDS), metavar="KIND", help="List only objects of this kind.")
@options.storage_option
@options.output_option()
def ls(
    *,
    url: str,
    experiment: str | None,
    kind: str | None,
    storage_options: dict[str, Any],
    output: Output,
) -> int:
    """List what an archive holds: its sections with numbers, sizes and times. Needs no MLflow."""
    from mlflow_archive import api

    listing = api.ls(url, kind=kind, experiment=experiment, storage_options=storage_options)
    output.result(listing.to_json(), lambda: overview(listing))
    return 0


def overview(listing: Listing) -> str:
    """Return the listing as text."""
    manifest = listing.manifest
    version = f" (MLflow {manifest.source.mlflow_version})" if manifest.source.mlflow_version else ""
    tool = f"{manifest.tool.name} {manifest.tool.version}".rstrip()
    # An archive of mlflow-export-import may not say when it was made, by which version, and has no digest.
    lines = [
        f"{listing.url}: {manifest.status} archive of {wording.size(manifest.total_bytes)}",
        f"  from     {manifest.source.uri or '-'}{version}",
        f"  written  {wording.time(manifest.finished_ms or None)} by {tool}",
        f"  digest   {listing.root_digest or 'none'}",
    ]
    if manifest.selection:
        lines.append("  holds    a selection: " + ", ".join(_wished(manifest.selection)))
    if manifest.losses.count:
        codes = ", ".join(f"{count} x {code}" for code, count in sorted(manifest.losses.by_code.items()))
        where = "each is a line of losses.jsonl in the archive" if listing.root_digest else "verify tells them"
        lines.append(f"  losses   {codes}; {where}")
    for section in listing.sections:
        lines += ["", *_section(section)]
    if not listing.sections:
        lines += ["", "Nothing of that kind."]
    return "\n".join(lines)


def _wished(selection: JSONObject) -> list[str]:
    """Return what was selected by; what was to stay out is a no or an empty list."""
    return [f"no {name}" if value is False or value == [] else name for name, value in sorted(selection.items())]


def _section(section: SectionRows) -> list[str]:
    title = f"{wording.kind_count(section.count, section.kind.value)}, {wording.size(section.size_bytes)}"
    if section.experiment is not None:
        title += f", in experiment {section.experiment.name}"
    if section.workspace is not None:
        title += f", in workspace {section.workspace}"
    named = any(row.name != row.id for row in section.rows)
    lines = [title]
    if section.rows:
        lines.append(wording.table(_cells(row, named=named) for row in section.rows))
    return lines


def _cells(row: Row, *, named: bool) -> list[str]:
    files = f", {wording.count(row.files, 'file')}" if row.files else ""
    below = ", ".join(wording.kind_count(count, kind) for kind, count in row.below.items() if count)
    return [
        row.id,
        *([one_line(wording.shortened(row.name, 50))] if named else []),
        row.state or "-",
        wording.time(row.time_ms),
        wording.size(row.size_bytes + row.below_bytes) + files,
        below,
    ]
