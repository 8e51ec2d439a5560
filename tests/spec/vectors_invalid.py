"""Vectors that break a MUST; each is named after the rule."""

from __future__ import annotations

from collections.abc import Callable

from tests.spec.building import Builder, Json
from tests.spec.worlds import RUN, WEBHOOKS, bare_run, database, experiment, losses, run, small

BLOB = f"experiments/1/runs/{RUN}/artifacts/notes.txt"
RUNS = "experiments/1/runs/index.jsonl"
EXPERIMENTS = "experiments/index.jsonl"

Case = tuple[str, str, Builder]


def invalid() -> list[Case]:
    """Return name, sentence and archive of each."""
    return [*_whole(), *_json(), *_paths(), *_sums(), *_bytes(), *_objects(), *_tables()]


def _whole() -> list[Case]:
    return [
        ("E001-format", "The marker is of another format.", _at("marker", format="tar")),
        ("E001-no-marker", "The marker is missing.", _no_marker()),
        ("E002-major", "A later major version.", _at("marker", spec_version="2.0")),
        ("E002-word", "A version that is none.", _at("marker", spec_version="one")),
        ("E003-identity", "Marker and manifest are of two archives.", _at("manifest", archive_id="other")),
        ("E004-read-feature", "A feature that reading needs.", _feature("read")),
        ("E004-verify-feature", "A feature that verifying needs.", _feature("verify")),
        ("E005-not-committed", "An interrupted backup.", small().on("files", _without("manifest.json"))),
        ("E006-marker-not-named", "The manifest does not name the marker.", _at("manifest", files=[])),
    ]


def _json() -> list[Case]:
    return [
        ("E010-not-utf8", "A document in Latin-1.", _document(lambda d: d.replace(b"smart", b"sm\xe4rt", 1))),
        ("E010-not-json", "A document that is cut short, and digested so.", _document(lambda d: d[:-20])),
        ("E010-array", "A document that is a list.", _document(lambda d: b"[]\n")),
        ("E010-no-newline", "An index without its last newline.", small().on(f"index bytes {RUNS}", lambda d: d[:-1])),
        ("E011-depth", "A document nested 300 levels deep.", _document(_deepened)),
        ("E012-duplicate-key", "A key that is there twice.", _document(lambda d: d.replace(b"{", b'{"id": "x",', 1))),
        ("E013-nan", "A bare NaN.", _document(lambda d: d.replace(b"0.25", b"NaN"))),
        ("E013-overflow", "A number beyond a double.", _document(lambda d: d.replace(b"0.25", b"1e999"))),
        ("E015-manifest", "A count that is a string.", small().on("manifest", _count_as_text)),
        ("E015-document", "A document without a record.", _without_key(f"document {RUN}", "record")),
        ("E015-record", "A run without a status.", small().on(f"document {RUN}", _without_status)),
        ("E015-digest", "A digest in upper case.", small().on(f"blob {RUN}", _upper)),
    ]


def _paths() -> list[Case]:
    return [
        ("E020-parent", "A path that leaves the root.", _blob_at("../notes.txt")),
        ("E020-absolute", "An absolute path.", _blob_at("/etc/passwd")),
        ("E020-drive", "A path of Windows.", _blob_at("C:\\notes.txt")),
        ("E020-reserved", "A name that Windows reserves.", _blob_at(f"experiments/1/runs/{RUN}/artifacts/nul.txt")),
        ("E021-blob", "A file outside of its object's folder.", _blob_moved("experiments/1/notes.txt")),
        ("E021-document", "A document under another name.", _document_moved()),
        ("E022-blob", "Two names with one file.", _blob_twice()),
    ]


def _sums() -> list[Case]:
    return [
        ("E030-status", "Complete with losses.", _partial().on("manifest", _set(status="complete"))),
        ("E031-counts", "More runs counted than there are.", small().on("manifest", _more_runs)),
        ("E032-section-count", "More objects announced than the index has.", _at(f"section {RUNS}", count=2)),
        ("E033-order", "An index that is not sorted.", _two_runs().on(f"index {RUNS}", lambda e: e[::-1])),
        ("E034-other-object", "The document of another run.", small().on(f"document {RUN}", _other_run)),
        ("E035-other-record", "The record of another run.", small().on(f"document {RUN}", _other_record)),
        ("E036-entry", "An index entry with a wrong sum.", _more(f"entry {RUN}")),
        ("E036-section", "A section with a wrong sum.", _more(f"section {EXPERIMENTS}")),
        ("E036-manifest", "A manifest with a wrong sum.", _more("manifest")),
        ("E037-blobs", "An index entry with a wrong number of files.", _at(f"entry {RUN}", blobs=2)),
        ("E038-count", "Fewer losses counted than there are.", _partial().on("manifest", _fewer_losses)),
        ("E038-no-file", "Losses without a list of them.", _unlisted_losses()),
        ("E039-loss", "A loss that only the object knows.", _hidden_loss()),
    ]


def _bytes() -> list[Case]:
    index = "experiments/1/runs/index.jsonl"
    return [
        ("E040-blob", "A file is missing.", small().on("files", _without(BLOB))),
        ("E040-index", "An index is missing.", small().on("files", _without(index))),
        ("E041-blob", "A file is cut short.", small().on("files", _changed(BLOB, lambda d: d[:-1]))),
        ("E042-blob", "A byte of a file is flipped.", small().on("files", _changed(BLOB, lambda d: d.upper()))),
        ("E042-marker", "The marker was changed.", small().on("files", _changed("mlflow-archive.json", _renamed))),
        ("E043-media-type", "A document of another type.", small().on(f"entry {RUN}", _other_type)),
        ("E044-root-digest", "Not the archive that was meant.", small()),
    ]


def _objects() -> list[Case]:
    return [
        ("E050-rows", "Fewer points than announced.", _at(f"part entry {RUN}", rows=3)),
        ("E050-lines", "Fewer lines than announced.", _at(f"part entry {RUN}", lines=2)),
        ("E051-columns", "Columns of different length.", small().on(f"part {RUN}", lambda p: p[0]["steps"].append(2))),
        ("E051-too-many", "More than 10,000 points in a line.", small().on(f"part {RUN}", _long_line)),
        ("E051-value", "A value that is neither a number nor one of the three words.", _metric(values=[0.5, "inf"])),
        ("E051-order", "Metrics that are not sorted by key.", small().on(f"part {RUN}", _unsorted_keys)),
        ("E052-order", "Files that are not sorted.", _blobs_reversed()),
        ("E053-misplaced", "Runs without an experiment.", _runs_at_the_root()),
        ("E053-nested", "A run that has sections.", small().on(f"entry {RUN}", _nested)),
        ("E054-part", "A run with spans.", _at(f"part entry {RUN}", name="spans")),
    ]


def _tables() -> list[Case]:
    cut, huge = WEBHOOKS[:-40], _claiming(3 << 30)
    return [
        ("E055-no-file", "A table of the record without its file.", _database({})),
        ("E055-no-table", "A file of no table.", _database({"webhooks": WEBHOOKS, "workspaces": WEBHOOKS})),
        ("E055-role", "A file of a database that is an artifact.", _with_artifact()),
        ("E056-unsafe", "A table whose name leads out of a folder.", _called("../webhooks")),
        ("E056-quoted", "A table whose name ends a string in SQL.", _called("webhooks'; DROP TABLE runs; --")),
        ("E056-twice", "A table that is there twice.", _database({"webhooks": WEBHOOKS}, twice=True)),
        ("E056-key", "A primary key of a column that is not there.", _described(primary_key=["id"])),
        ("E057-cut", "A Parquet file that is cut short, and digested so.", _database({"webhooks": cut})),
        ("E057-huge", "A group of one row that claims to have 3 GiB.", _database({"webhooks": huge})),
        (
            "E057-page",
            "A page of some bytes that unpacks to 2 GiB, in a small group.",
            _database({"webhooks": _unpacking()}),
        ),
        ("E058-type", "A column of another type than the record says.", _columns(1, type="integer")),
        ("E058-name", "A column of another name than the record says.", _columns(1, name="token")),
        ("E058-withheld", "A column that is withheld, and is not.", _columns(0, withheld="webhook-secrets")),
        ("E059-rows", "A row less than the record says.", _described(rows=2)),
    ]


def _set(**fields: object) -> Callable[[Json], None]:
    return lambda value: value.update(fields)


def _at(place: str, **fields: object) -> Builder:
    return small().on(place, _set(**fields))


def _without_key(place: str, key: str) -> Builder:
    return small().on(place, lambda value: {name: item for name, item in value.items() if name != key})


def _without(path: str) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: {name: data for name, data in files.items() if name != path}


def _changed(path: str, change: Callable[[bytes], bytes]) -> Callable[[dict[str, bytes]], dict[str, bytes]]:
    return lambda files: files | {path: change(files[path])}


def _document(change: Callable[[bytes], bytes]) -> Builder:
    return small().on(f"bytes {RUN}", change)


def _no_marker() -> Builder:
    return small().on("files", _without("mlflow-archive.json"))


def _feature(operation: str) -> Builder:
    return small().on("marker", lambda marker: marker["features"].update({operation: ["com.example.encryption"]}))


def _deepened(data: bytes) -> bytes:
    return data.replace(b'"0.1"', b'"0.1", "deep": ' + b"[" * 300 + b"]" * 300, 1)


def _count_as_text(manifest: Json) -> None:
    manifest["total_bytes"] = str(manifest["total_bytes"])


def _without_status(document: Json) -> None:
    del document["record"]["info"]["status"]


def _upper(blob: Json) -> None:
    blob["descriptor"]["sha256"] = blob["descriptor"]["sha256"].upper()


def _blob_at(path: str) -> Builder:
    builder = small().on(f"blob {RUN}", lambda blob: blob["descriptor"].update(path=path))
    return builder.on("files", _without(BLOB))


def _blob_moved(path: str) -> Builder:
    builder = small().on(f"blob {RUN}", lambda blob: blob["descriptor"].update(path=path))
    return builder.on("files", lambda files: {path if name == BLOB else name: data for name, data in files.items()})


def _document_moved() -> Builder:
    old, new = (f"experiments/1/runs/{RUN}/{name}.json" for name in ("run", "document"))
    builder = small().on(f"entry {RUN}", lambda entry: entry["descriptor"].update(path=new))
    return builder.on("files", lambda files: {new if name == old else name: data for name, data in files.items()})


def _blob_twice() -> Builder:
    def double(document: Json) -> None:
        first = document["blobs"][0]
        document["blobs"] = [first, first | {"name": "other.txt"}]

    return small().on(f"document {RUN}", double)


def _partial() -> Builder:
    lost, things = losses()
    return Builder(things, lost)


def _more_runs(manifest: Json) -> None:
    manifest["counts"]["run"]["stored"] = 2


def _two_runs() -> Builder:
    return Builder([experiment(), run(), bare_run("1" * 32)])


def _other_run(document: Json) -> None:
    document["id"] = document["record"]["info"]["run_id"] = "f" * 32


def _other_record(document: Json) -> None:
    document["record"]["info"]["run_id"] = "f" * 32


def _more(place: str) -> Builder:
    return small().on(place, lambda value: value.update(total_bytes=value["total_bytes"] + 1))


def _fewer_losses(manifest: Json) -> None:
    manifest["losses"].update(count=1, by_code={"unavailable": 1})


def _unlisted_losses() -> Builder:
    builder = _partial().on("manifest", lambda manifest: manifest["losses"].pop("descriptor") and None)
    return builder.on("files", _without("losses.jsonl"))


def _hidden_loss() -> Builder:
    lost, things = losses()
    return Builder(things, lost[1:])


def _renamed(data: bytes) -> bytes:
    return data.replace(b'"features"', b'"featureS"')


def _other_type(entry: Json) -> None:
    entry["descriptor"]["media_type"] = "application/json"


def _metric(**columns: object) -> Builder:
    return small().on(f"part {RUN}", lambda part: part[0].update(columns))


def _long_line(part: list[Json]) -> None:
    count = 10_001
    part[0].update(timestamps=[0] * count, steps=[0] * count, values=[0] * count)


def _unsorted_keys(part: list[Json]) -> None:
    part.append(part[0] | {"key": "a"})


def _blobs_reversed() -> Builder:
    thing = run()
    thing.blobs = {("artifacts", "a.txt"): b"a", ("artifacts", "b.txt"): b"b"}
    builder = Builder([experiment(), thing])
    return builder.on(f"document {RUN}", lambda document: document.update(blobs=document["blobs"][::-1]))


def _runs_at_the_root() -> Builder:
    moved: list[Json] = []

    def take(entries: list[Json]) -> None:
        moved.extend(entries[0].pop("children"))

    builder = small().on(f"index {EXPERIMENTS}", take)

    def give(manifest: Json) -> None:
        manifest["sections"].extend(moved)
        manifest["total_bytes"] += sum(section["total_bytes"] for section in moved)

    return builder.on("manifest", give)


def _nested(entry: Json) -> None:
    descriptor = {"path": "x/index.jsonl", "media_type": "x", "size_bytes": 0, "sha256": "0" * 64}
    entry["children"] = [{"kind": "run", "count": 0, "total_bytes": 0, "index": descriptor}]


def _database(files: dict[str, bytes], *, twice: bool = False) -> Builder:
    thing = database()
    thing.blobs = {("tables", f"{name}.parquet"): data for name, data in files.items()}
    thing.record["tables"] *= 2 if twice else 1
    return Builder([thing])


def _with_artifact() -> Builder:
    thing = database()
    thing.blobs["artifacts", "webhooks.parquet"] = WEBHOOKS
    return Builder([thing])


def _called(name: str) -> Builder:
    builder = _database({name: WEBHOOKS})
    builder.things[0].record["tables"][0]["name"] = name
    return builder


def _described(**fields: object) -> Builder:
    builder = _database({"webhooks": WEBHOOKS})
    builder.things[0].record["tables"][0].update(fields)
    return builder


def _columns(number: int, **fields: object) -> Builder:
    builder = _database({"webhooks": WEBHOOKS})
    builder.things[0].record["tables"][0]["columns"][number].update(fields)
    return builder


def _claiming(size_bytes: int) -> bytes:
    """Return the file of one row whose description says that its group has so many bytes."""
    pages, footer = _halves()
    one_row = b"\x16" + _varint(1)
    footer = _replaced(footer, b"\x16" + _varint(105) + one_row, b"\x16" + _varint(size_bytes) + one_row)
    return _whole_file(pages, footer)


def _unpacking() -> bytes:
    """Return the file of one row whose last page says that it has 2 GiB when it is unpacked."""
    pages, footer = _halves()
    packed = b"\x15" + _varint(16)
    header, larger = (b"\x15\x00\x15" + _varint(size) + packed for size in (7, (1 << 31) - 1))
    grown = len(larger) - len(header)
    before, after = (b"\x16" + _varint(42) + b"\x16" + _varint(size) for size in (60, 60 + grown))
    return _whole_file(_replaced(pages, header, larger), _replaced(footer, before, after))


def _halves() -> tuple[bytes, bytes]:
    """Return the pages of the file of one row, and the description of them."""
    start = len(WEBHOOKS) - 8 - int.from_bytes(WEBHOOKS[-8:-4], "little")
    return WEBHOOKS[:start], WEBHOOKS[start:-8]


def _whole_file(pages: bytes, footer: bytes) -> bytes:
    return pages + footer + len(footer).to_bytes(4, "little") + WEBHOOKS[-4:]


def _replaced(data: bytes, old: bytes, new: bytes) -> bytes:
    assert data.count(old) == 1
    return data.replace(old, new)


def _varint(number: int) -> bytes:
    """Return a number as Parquet's descriptions have it: twice itself, seven bits a byte, the lowest first."""
    number, found = 2 * number, bytearray()
    while number >= 128:
        found.append(number % 128 + 128)
        number //= 128
    return bytes([*found, number])
