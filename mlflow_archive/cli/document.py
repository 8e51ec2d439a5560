"""An object document as text that is pleasant to read: facts first, then its lists, then its files."""

from __future__ import annotations

from mlflow_archive.cli import wording
from mlflow_archive.cli.failing import one_line
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind

#: Longer values are shortened in the middle.
VALUE_WIDTH = 100
#: Rows of one list that are shown.
ROWS_SHOWN = 50
#: Whole numbers of this size under a name with "time" in it are milliseconds since the epoch.
_MILLISECONDS = 10**11


def rendered(document: JSONObject) -> str:
    """Return an object document as text."""
    lines = [_title(document)]
    record = document.get("record")
    if isinstance(record, dict):
        info = record.get("info")
        facts = {**info, **record} if isinstance(info, dict) else dict(record)
        facts.pop("info", None)
        tables = facts.pop("tables", None) if document.get("kind") == Kind.DATABASE.value else None
        lines += _mapping(facts)
        if isinstance(tables, list):
            lines += _tables(tables, document.get("blobs"))
            document = {**document, "blobs": None}
    lines += _parts(document.get("parts"))
    lines += _files(document.get("blobs"))
    losses = document.get("losses")
    if isinstance(losses, list) and losses:
        lines += ["", f"losses: {len(losses):,}", *_rows(losses)]
    return "\n".join(lines)


def _title(document: JSONObject) -> str:
    title = f"{str(document.get('kind')).replace('_', ' ')} {_text('id', document.get('id'))}"
    if document.get("experiment_id") is not None:
        title += f" in experiment {document['experiment_id']}"
    if document.get("workspace") is not None:
        title += f" in workspace {document['workspace']}"
    return title


def _mapping(values: JSONObject) -> list[str]:
    """Return plain values as a table, then each mapping and list below its own heading."""
    plain = [(name, _text(name, value)) for name, value in values.items() if not isinstance(value, dict | list)]
    lines = [wording.table([row for row in plain if row[1]])] if any(text for _, text in plain) else []
    for name, value in values.items():
        if isinstance(value, dict) and value:
            lines += ["", f"{_heading(name)}:"]
            lines.append(wording.table([(key, _text(key, each)) for key, each in value.items()]))
        elif isinstance(value, list) and value:
            lines += ["", f"{_heading(name)}: {len(value):,}", *_rows(value)]
    return lines


def _rows(values: list[JSONValue]) -> list[str]:
    """Return a list as a table: one column for each field that any of the rows has."""
    shown = values[:ROWS_SHOWN]
    objects = [value for value in shown if isinstance(value, dict)]
    if len(objects) == len(shown):
        columns = [name for name in dict.fromkeys(key for row in objects for key in row) if _used(objects, name)]
        cells = [[_text(name, row.get(name), width=40) or "-" for name in columns] for row in objects]
        lines = [wording.table(cells, header=columns)]
    else:
        lines = [f"  {_text('', value)}" for value in shown]
    if len(values) > ROWS_SHOWN:
        lines.append(f"  ... and {len(values) - ROWS_SHOWN:,} more; --json lists all.")
    return lines


def _used(rows: list[JSONObject], name: str) -> bool:
    return any(row.get(name) not in (None, "", [], {}) for row in rows)


def _tables(tables: list[JSONValue], blobs: JSONValue) -> list[str]:
    """Return the tables of a database that have rows, each with its file; the others are counted."""
    named = [blob for blob in blobs if isinstance(blob, dict)] if isinstance(blobs, list) else []
    sizes = {str(blob.get("name")).removesuffix(".parquet"): _size(blob) for blob in named}
    cells = []
    for table in tables:
        if isinstance(table, dict) and isinstance(rows := table.get("rows"), int) and rows:
            columns = table.get("columns")
            each = [column for column in columns if isinstance(column, dict)] if isinstance(columns, list) else []
            withheld = sorted({str(column["withheld"]) for column in each if column.get("withheld")})
            name = str(table.get("name"))
            said = f"without {', '.join(withheld)}" if withheld else ""
            cells.append((one_line(name), f"{rows:,}", f"{len(each)}", sizes.get(name, "lost"), said))
    lines = ["", f"tables: {len(tables):,}, of which {len(cells):,} have rows"]
    if cells:
        lines.append(wording.table(cells, header=("name", "rows", "columns", "file", ""), right=(1, 2, 3)))
    return lines


def _parts(parts: JSONValue) -> list[str]:
    if not isinstance(parts, list) or not parts:
        return []
    rows = [
        (str(part.get("name")), f"{part.get('rows')} rows", _size(part)) for part in parts if isinstance(part, dict)
    ]
    return ["", "kept as lines:", wording.table(rows)]


def _files(blobs: JSONValue) -> list[str]:
    if not isinstance(blobs, list) or not blobs:
        return []
    rows = [(_file(blob), _size(blob)) for blob in blobs if isinstance(blob, dict)]
    lines = ["", f"files: {len(rows):,}", wording.table(rows[:ROWS_SHOWN], right=(1,))]
    if len(rows) > ROWS_SHOWN:
        lines.append(f"  ... and {len(rows) - ROWS_SHOWN:,} more; --json lists all.")
    return lines


def _file(blob: JSONObject) -> str:
    """Return a file's name, with its role where that is not the usual one."""
    role, name = str(blob.get("role")), str(blob.get("name"))
    return one_line(name if role == "artifacts" else f"{role}/{name}")


def _size(entry: JSONObject) -> str:
    descriptor = entry.get("descriptor")
    size_bytes = descriptor.get("size_bytes") if isinstance(descriptor, dict) else None
    return wording.size(size_bytes) if isinstance(size_bytes, int) else "-"


def _heading(name: str) -> str:
    return name.replace("_", " ")


def _text(name: str, value: JSONValue, *, width: int = VALUE_WIDTH) -> str:
    """Return a value in one line; numbers that are times as times."""
    if value is None:
        return ""
    if isinstance(value, int) and not isinstance(value, bool) and "time" in name and value >= _MILLISECONDS:
        return wording.time(value)
    if isinstance(value, dict):
        inner = ", ".join(f"{key}: {_text(key, each)}" for key, each in value.items() if each not in (None, ""))
        return wording.shortened(inner, width)
    if isinstance(value, list):
        return wording.shortened(", ".join(_text(name, each) for each in value), width)
    return wording.shortened(one_line(str(value)), width)
