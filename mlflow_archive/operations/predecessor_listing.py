"""What an archive of mlflow-export-import holds, in the words of a listing of ours.

It has no indexes, so every document is read. Sizes are those of files; the documents themselves are not counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.operations.listed import Listing, Row, SectionRows
from mlflow_archive.predecessor.layout import Experiment
from mlflow_archive.predecessor.source import PredecessorSource
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import IN_EXPERIMENT, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.manifest import KindCount, LossSummary, Manifest, Tool
from mlflow_archive.spec.object import rows_in
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Blob, Content, Item

FORMAT = "mlflow-export-import"


def listing(source: PredecessorSource, url: str, kind: Kind | None, experiment: str | None) -> Listing:
    """List the overview (the root), a kind, or what is below an experiment.

    Raises:
        NotFoundError: There is no such experiment.
        MlflowArchiveError: A document cannot be read.
    """
    wanted = _experiments(source, experiment)
    below = experiment is not None
    sections: list[SectionRows] = []
    losses: list[Loss] = []
    for each in source.kinds() if kind is None else (kind,):
        if each in IN_EXPERIMENT and (below or kind is not None):
            for one in wanted:
                found = _section(source, each, one, losses)
                if found.rows:
                    sections.append(found)
        elif each not in IN_EXPERIMENT and not below:
            found = _section(source, each, None, losses)
            if found.rows:
                sections.append(found)
    return Listing(url=url, root_digest="", manifest=_manifest(source, sections, losses), sections=tuple(sections))


def document(source: PredecessorSource, url: str, name: str, kind: Kind | None) -> JSONObject:
    """Return the object with this id or name, in the form of a document of ours; files have no digests.

    Raises:
        NotFoundError: There is none.
        UsageError: There are several.
        MlflowArchiveError: Its document cannot be read.
    """
    kinds = source.kinds() if kind is None else (kind,)
    items = [entry for each in kinds for entry in source.read(each, Selection()) if isinstance(entry, Item)]
    found = (
        [item for item in items if item.key.id == name]
        or [item for item in items if item.key.name == name]
        or [item for item in items if not item.key.name and item.load().record.title == name]
    )
    if not found:
        raise NotFoundError(f"No {kind or 'object'} in {url} has the id or name {name!r}; try ls.")
    if len(found) > 1:
        candidates = ", ".join(f"{item.key.kind} {item.key.id}" for item in found[:10])
        more = f" and {len(found) - 10} more" if len(found) > 10 else ""
        raise UsageError(f"{name!r} is the name of {candidates}{more}; name one by its id, or its kind as well.")
    return _document(found[0])


def _document(item: Item) -> JSONObject:
    key, content = item.key, item.load()
    blobs = list(content.blobs())
    return {
        "kind": key.kind.value,
        "id": key.id,
        **({"experiment_id": key.experiment_id} if key.experiment_id is not None else {}),
        "record": content.record.to_json(),
        "parts": [_part(part.name, list(part.open())) for part in content.parts],
        "blobs": [
            {"role": blob.role, "name": blob.name, "descriptor": {"size_bytes": blob.size_bytes}}
            for blob in sorted((b for b in blobs if isinstance(b, Blob)), key=lambda blob: (blob.role, blob.name))
        ],
        "losses": [loss.to_json() for loss in (*content.losses, *(b for b in blobs if isinstance(b, Loss)))],
    }


def _part(name: str, lines: list[JSONObject]) -> JSONObject:
    return {"name": name, "lines": len(lines), "rows": sum(rows_in(name, line) for line in lines)}


def _experiments(source: PredecessorSource, experiment: str | None) -> tuple[Experiment, ...]:
    found = source.layout.experiments(Selection())
    if experiment is None:
        return found
    named = tuple(one for one in found if experiment in (one.id, one.name))
    if not named:
        raise NotFoundError(f"There is no experiment with the id or name {experiment!r}; ls shows what is there.")
    return named


def _section(source: PredecessorSource, kind: Kind, above: Experiment | None, losses: list[Loss]) -> SectionRows:
    scope = Selection(experiment_ids=frozenset({above.id})) if above else Selection()
    rows = tuple(sorted(_rows(source, kind, scope, losses), key=lambda row: row.id))
    experiment = Row(above.id, above.name or above.id, above.stage, None, 0, 0, {}, 0) if above else None
    return SectionRows(kind, None, experiment, len(rows), sum(row.size_bytes + row.below_bytes for row in rows), rows)


def _rows(source: PredecessorSource, kind: Kind, scope: Selection, losses: list[Loss]) -> Iterator[Row]:
    for entry in source.read(kind, scope):
        if isinstance(entry, Loss):
            losses.append(entry)
            continue
        content = entry.load()
        losses += content.losses
        below, below_bytes = _below(source, entry.key.id) if kind is Kind.EXPERIMENT else ({}, 0)
        sizes = _sizes(content, losses)
        record = content.record
        yield Row(
            id=entry.key.id,
            name=entry.key.name or record.title or entry.key.id,
            state=record.state or "",
            time_ms=record.time_ms,
            size_bytes=sum(sizes),
            files=len(sizes),
            below=below,
            below_bytes=below_bytes,
        )


def _below(source: PredecessorSource, experiment_id: str) -> tuple[dict[str, int], int]:
    """Count what stands below an experiment, and the bytes of its folders."""
    scope = Selection(experiment_ids=frozenset({experiment_id}))
    counts: Counter[str] = Counter()
    for kind in source.kinds():
        if kind in IN_EXPERIMENT:
            counts[kind.value] += sum(isinstance(entry, Item) for entry in source.read(kind, scope))
    return {word: count for word, count in counts.items() if count}, source.folder_bytes(experiment_id)


def _sizes(content: Content, losses: list[Loss]) -> list[int]:
    sizes = []
    for blob in content.blobs():
        if isinstance(blob, Loss):
            losses.append(blob)
        else:
            sizes.append(blob.size_bytes or 0)
    return sizes


def _manifest(source: PredecessorSource, sections: list[SectionRows], losses: list[Loss]) -> Manifest:
    """Return what a manifest of ours would say, as far as this archive tells it."""
    codes = Counter(loss.code for loss in losses)
    stored: Counter[str] = Counter()
    for section in sections:
        stored[section.kind.value] += section.count
    return Manifest(
        format=FORMAT,
        spec_version="",
        archive_id="",
        status="partial" if losses else "complete",
        started_ms=source.exported_ms,
        finished_ms=source.exported_ms,
        tool=Tool(name=FORMAT, version=source.tool_version),
        source=source.origin,
        selection={},
        counts={kind: KindCount(stored=count, skipped=0, lost=0) for kind, count in stored.items()},
        losses=LossSummary(count=len(losses), by_code=dict(codes)),
        notes=source.notes(),
        total_bytes=sum(section.size_bytes for section in sections),
        sections=(),
    )
