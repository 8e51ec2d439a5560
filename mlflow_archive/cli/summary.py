"""The last words of a transfer, for a person: what is there now, what is missing and why, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from mlflow_archive.cli import wording
from mlflow_archive.cli.failing import one_line

if TYPE_CHECKING:
    from mlflow_archive.cli.output import Output
    from mlflow_archive.operations.report import Report
    from mlflow_archive.spec.loss import Loss

#: Losses of one reason that are named; the rest is counted.
LOSSES_NAMED = 3
#: Reasons of losses and of skipped objects that are shown.
REASONS_SHOWN = 10

_PAST = {"backup": "Backed up", "restore": "Restored", "copy": "Copied"}
_WOULD = {"backup": "Would back up", "restore": "Would restore", "copy": "Would copy"}


def show_report(report: Report, output: Output, *, losses_in: str, next_step: str = "", verbose: bool = False) -> int:
    """Print what a transfer did and return the exit code; losses are told even when nothing else is.

    Args:
        report: What the transfer did.
        output: Where to.
        losses_in: Where the full list of losses is, as the end of a sentence.
        next_step: The command to run next, if there is one.
        verbose: Name every object.
    """
    output.result(report.to_json(), lambda: summary(report, losses_in=losses_in, next_step=next_step, verbose=verbose))
    if report.losses and not output.tells_all:
        output.warn(f"{wording.count(len(report.losses), 'loss', 'losses')}; the full list is {losses_in}.")
    return int(report.exit_code)


def summary(report: Report, *, losses_in: str, next_step: str = "", verbose: bool = False) -> str:
    """Return the summary of a transfer, several lines without a newline at the end.

    Args:
        report: What the transfer did.
        losses_in: Where the full list of losses is, as the end of a sentence.
        next_step: The command to run next, if there is one.
        verbose: Name every object that is at the target now, with its id there.
    """
    words = _WOULD if report.dry_run else _PAST
    lines = [f"{words.get(report.verb, report.verb)} {report.source} -> {report.target}", ""]
    lines += [_counts(report)]
    lines += _objects(report.ids) if verbose else []
    lines += _skipped(report.skipped)
    lines += losses(report.losses, losses_in)
    if report.notes:
        lines += ["", *(f"Note: {one_line(note)}" for note in report.notes)]
    if lines[-1]:
        lines.append("")
    lines.append(f"{wording.size(report.size_bytes)} in {wording.duration(report.seconds)}, {_verdict(report)}")
    if report.root_digest:
        lines.append(f"Root digest: {report.root_digest}")
    if next_step:
        lines.append(f"Next: {next_step}")
    return "\n".join(lines)


def _verdict(report: Report) -> str:
    if report.dry_run:
        return "nothing was written (dry run)"
    if report.losses:
        return f"partial: {wording.count(len(report.losses), 'loss', 'losses')}"
    return "complete: nothing lost"


def _counts(report: Report) -> str:
    rows = [
        (wording.kind(kind), f"{count.stored:,}", f"{count.skipped:,}", f"{count.lost:,}")
        for kind, count in report.counts.items()
        if count.stored or count.skipped or count.lost
    ]
    if not rows:
        return "  Nothing matched."
    done = "to do" if report.dry_run else "stored"
    return wording.table(rows, header=("", done, "skipped", "lost"), right=(1, 2, 3))


def _objects(ids: Mapping[str, Mapping[str, str]]) -> list[str]:
    rows = [
        (kind.replace("_", " "), one_line(source), "->", one_line(target))
        for kind, pairs in ids.items()
        for source, target in pairs.items()
    ]
    return ["", wording.table(rows)] if rows else []


def _skipped(skipped: Mapping[str, Mapping[str, int]]) -> list[str]:
    rows = [
        (f"{number:,}", f"{wording.kind(kind)}: {one_line(reason)}")
        for kind, reasons in skipped.items()
        for reason, number in reasons.items()
        if number
    ]
    if not rows:
        return []
    lines = ["", "Skipped:", wording.table(rows[:REASONS_SHOWN], right=(0,))]
    return [*lines, *_more(len(rows) - REASONS_SHOWN, "reason")]


def losses(found: Iterable[Loss], losses_in: str) -> list[str]:
    """Return losses as lines, grouped by reason, the first few of each named."""
    groups: dict[tuple[str, str], list[Loss]] = {}
    for loss in found:
        groups.setdefault((loss.code, _cause(loss)), []).append(loss)
    if not groups:
        return []
    total = sum(len(group) for group in groups.values())
    lines = ["", f"{wording.count(total, 'loss', 'losses')}:"]
    for (code, cause), group in sorted(groups.items(), key=lambda pair: -len(pair[1]))[:REASONS_SHOWN]:
        again = " Trying again may help." if all(loss.retryable for loss in group) else ""
        lines.append(f"  {len(group):,} x {code}: {cause}{again}")
        lines += [f"      {name(loss)}" for loss in group[:LOSSES_NAMED]]
        if len(group) > LOSSES_NAMED:
            lines.append(f"      ... and {len(group) - LOSSES_NAMED:,} more")
    lines += _more(len(groups) - REASONS_SHOWN, "reason")
    return [*lines, f"  The full list is {losses_in}."]


def name(loss: Loss) -> str:
    """Return what was lost: the kind, the id and the part."""
    what = (
        f"{loss.kind.value.replace('_', ' ')} {loss.id}" if loss.id else f"the list of {wording.kind(loss.kind.value)}"
    )
    where = f" (experiment {loss.experiment_id})" if loss.experiment_id and not loss.id else ""
    part = f": {one_line(loss.path)}" if loss.path else ""
    return wording.shortened(f"{what}{where}{part}", 110)


def _cause(loss: Loss) -> str:
    """Return the reason without what is special to the one object, so that equal reasons come together."""
    reason = one_line(loss.reason)
    # A path of one plain word is a part that many objects have, such as spans, and may be a word of the sentence.
    path = loss.path if loss.path and not loss.path.replace("_", "").isalpha() else None
    for special in (path, loss.id):
        if special and len(special) > 3:
            reason = reason.replace(special, "...")
    return wording.shortened(reason, 160)


def _more(number: int, word: str) -> list[str]:
    return [f"  ... and {wording.count(number, 'more ' + word)}"] if number > 0 else []
