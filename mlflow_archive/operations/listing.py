"""What an archive holds, as values for a printer: the overview, the objects of a kind, one object."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from mlflow_archive.archive.reader import ArchiveReader, PlacedSection
from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.operations.ends import stored_source
from mlflow_archive.operations.listed import Listing, Row, SectionRows
from mlflow_archive.operations.selecting import parse_kind
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import IN_EXPERIMENT, Kind
from mlflow_archive.spec.object import IndexEntry
from mlflow_archive.storage.opening import public_url


def ls(
    url: str,
    *,
    kind: str | None = None,
    experiment: str | None = None,
    storage_options: Mapping[str, object] | None = None,
) -> Listing:
    """List what an archive holds; of ours only indexes are read, no object. See `mlflow_archive.api.ls`."""
    wanted = None if kind is None else parse_kind(kind)
    if experiment is not None and wanted is not None and wanted not in IN_EXPERIMENT:
        raise UsageError(f"No {wanted} stands below an experiment; leave the experiment out.")
    with stored_source(url, storage_options=storage_options) as reader:
        if not isinstance(reader, ArchiveReader):
            from mlflow_archive.operations import predecessor_listing

            return predecessor_listing.listing(reader, public_url(url), wanted, experiment)
        return Listing(
            url=public_url(url),
            root_digest=reader.root_digest,
            manifest=reader.manifest,
            sections=tuple(
                SectionRows(
                    kind=placed.section.kind,
                    workspace=placed.section.workspace,
                    experiment=_row(placed.experiment) if placed.experiment else None,
                    count=placed.section.count,
                    size_bytes=placed.section.total_bytes,
                    rows=tuple(_row(entry) for entry in reader.entries(placed.section)),
                )
                for placed in _sections(reader, wanted, experiment)
            ),
        )


def show(
    url: str, name: str, *, kind: str | None = None, storage_options: Mapping[str, object] | None = None
) -> JSONObject:
    """Return the document of the object with this id or name; see `mlflow_archive.api.show`.

    An id wins over names.
    """
    wanted = None if kind is None else parse_kind(kind)
    with stored_source(url, storage_options=storage_options) as reader:
        if not isinstance(reader, ArchiveReader):
            from mlflow_archive.operations import predecessor_listing

            return predecessor_listing.document(reader, public_url(url), name, wanted)
        by_id: list[tuple[Kind, IndexEntry]] = []
        by_name: list[tuple[Kind, IndexEntry]] = []
        for placed in reader.sections(wanted):
            for entry in reader.entries(placed.section):
                if entry.id == name:
                    by_id.append((placed.section.kind, entry))
                elif entry.name == name:
                    by_name.append((placed.section.kind, entry))
        found = by_id or by_name
        if not found:
            raise NotFoundError(f"No {wanted or 'object'} in {public_url(url)} has the id or name {name!r}; try ls.")
        if len(found) > 1:
            candidates = ", ".join(f"{kind} {entry.id}" for kind, entry in found[:10])
            more = f" and {len(found) - 10} more" if len(found) > 10 else ""
            raise UsageError(f"{name!r} is the name of {candidates}{more}; name one by its id, or its kind as well.")
        return reader.document(found[0][1]).to_json()


def _sections(reader: ArchiveReader, kind: Kind | None, experiment: str | None) -> Iterator[PlacedSection]:
    """Yield the sections of the overview (the root's), of a kind, or below an experiment."""
    found = experiment is None
    if experiment is not None:
        found = any(experiment in (entry.id, entry.name) for entry in reader.experiments())
    if not found:
        raise NotFoundError(f"There is no experiment with the id or name {experiment!r}; ls shows what is there.")
    for placed in reader.sections(kind):
        above = placed.experiment
        if experiment is not None:
            if above is not None and experiment in (above.id, above.name):
                yield placed
        elif kind is not None or above is None:
            yield placed


def _row(entry: IndexEntry) -> Row:
    below: dict[str, int] = {}
    for child in entry.children:
        below[child.kind.value] = below.get(child.kind.value, 0) + child.count
    return Row(
        id=entry.id,
        name=entry.name or entry.id,
        state=entry.state or "",
        time_ms=entry.time_ms,
        size_bytes=entry.total_bytes,
        files=entry.blobs,
        below=below,
        below_bytes=sum(child.total_bytes for child in entry.children),
    )
