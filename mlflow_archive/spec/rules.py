"""Every numbered rule of the format; ``spec/v1/rules.md`` is the same table, and a test holds them together.

Ids are append-only: a rule that is given up keeps its number.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Level = Literal["complete", "valid", "restorable"]


@dataclass(frozen=True, slots=True)
class Rule:
    """A checkable sentence of the specification.

    Attributes:
        id: ``E...`` for a MUST, whose violation makes the archive invalid; ``W...`` for a SHOULD.
        level: The lowest level of verification at which it is checked.
        sentence: What must hold.
    """

    id: str
    level: Level
    sentence: str

    @property
    def severity(self) -> Literal["error", "warning"]:
        """What a violation is."""
        return "error" if self.id.startswith("E") else "warning"


_TABLE: tuple[tuple[str, Level, str], ...] = (
    # The archive as a whole.
    ("E001", "complete", "`mlflow-archive.json` exists, and the `format` of marker and manifest is `mlflow-archive`."),
    ("E002", "complete", "`spec_version` is `<major>.<minor>`; a reader refuses a major greater than its own."),
    ("E003", "complete", "The manifest has the marker's `archive_id` and `spec_version`."),
    ("E004", "complete", "A reader refuses a feature that it does not know, for its operation."),
    ("E005", "complete", "`manifest.json` exists; without it there is no archive, only an interrupted backup."),
    ("E006", "complete", "`files` of the manifest names the marker."),
    # JSON.
    ("E010", "complete", "A document or line is a JSON object in UTF-8, not too large; lines end with a newline."),
    ("E011", "complete", "JSON is nested at most 200 levels deep."),
    ("E012", "complete", "A JSON object has no key twice."),
    ("E013", "complete", "A JSON number is finite: no bare `NaN` or `Infinity`, nothing beyond a double's range."),
    ("E014", "restorable", "A tool that rewrites a document keeps the fields it does not know."),
    ("E015", "complete", "A document has the fields of its schema, each of its type."),
    # Paths.
    ("E020", "complete", "A path is relative, stays below the root, and has only segments that are safe everywhere."),
    ("E021", "complete", "A descriptor's path is the one, or below the one, that the layout gives to its place."),
    ("E022", "complete", "No two descriptors of an archive have the same path."),
    # Sums and agreement.
    ("E030", "complete", "`status` is `partial` exactly when `losses.count` is not 0."),
    ("E031", "complete", "`counts` has each kind of the archive; `stored` is the number of its index entries."),
    ("E032", "complete", "A section's `count` is the number of lines of its index."),
    ("E033", "complete", "Index lines are sorted by `id`, by code point, each id once."),
    ("E034", "complete", "An object document has the kind, id, experiment and workspace of its index entry."),
    ("E035", "restorable", "A record names itself by the object's own id."),
    ("E036", "complete", "`total_bytes` of an index entry, a section and the manifest are the sums they stand for."),
    ("E037", "complete", "`blobs` of an index entry is the number of blobs of its object document."),
    ("E038", "complete", "`losses` of the manifest sums up `losses.jsonl`, which is there exactly if there are any."),
    ("E039", "complete", "Each loss of an object document is also a line of `losses.jsonl`."),
    # Bytes.
    ("E040", "complete", "Each descriptor's path exists."),
    ("E041", "complete", "Each file has the `size_bytes` of its descriptor."),
    ("E042", "complete", "Each file has the `sha256` of its descriptor (parts and blobs: from level `valid`)."),
    ("E043", "complete", "A descriptor has the media type of its place."),
    ("E044", "complete", "The root digest, the sha256 of `manifest.json`, is the one the verifier was given."),
    # Objects.
    ("E050", "restorable", "`lines` and `rows` of a part are those of its file."),
    ("E051", "restorable", "A `metrics` line has columns of one length, 1 to 10,000; lines are sorted by key."),
    ("E052", "complete", "Blobs are sorted by role and name, each pair once."),
    ("E053", "complete", "A section stands where its kind belongs, at the root or in an experiment, each once."),
    ("E054", "complete", "An object has only the parts of its kind, each once."),
    # Tables of a database.
    ("E055", "complete", "Each table of a database has a file or a loss, and each of its files is that of a table."),
    ("E056", "complete", "Tables are sorted by name, each once; names are safe, and keys name columns."),
    ("E057", "restorable", "The file of a table is a whole Parquet file, of groups that are not too large."),
    ("E058", "restorable", "The file of a table has the columns of the record; those that are withheld are NULL."),
    ("E059", "restorable", "The file of a table has as many rows as the record says."),
    # Containers.
    ("E060", "valid", "A frame decompresses to the part of the tar that the table gives it, at most 32 MiB."),
    ("E061", "complete", "A table has its form: frames in a row, members sorted, each once, in the tar, apart."),
    ("E062", "valid", "Each member of a tarball is a regular file with a whole header."),
    ("E063", "valid", "The tar has each member of the table at its place, with its name and size."),
    ("E064", "complete", "`volumes.json` has its form, and names each volume once."),
    ("E065", "complete", "Each volume of `volumes.json` exists with its `size_bytes`."),
    # Warnings: bytes and form.
    ("W001", "complete", "Each file below the root is named by a descriptor of the archive."),
    ("W002", "complete", "The minor version is one the verifier knows; else parts of the archive go unchecked."),
    ("W003", "restorable", "Documents and lines are in the canonical form."),
    ("W004", "complete", "No two paths differ only in case, and none is a folder of another."),
    # Warnings: containers.
    ("W060", "complete", "A tarball has a table and a footer, both whole; else all of it must be read to open it."),
    # Warnings: references that leave the archive.
    ("W010", "restorable", "A run's parent run (tag `mlflow.parentRunId`) is in the archive."),
    ("W011", "restorable", "A model version's run is in the archive."),
    ("W012", "restorable", "A model version's logged model is in the archive."),
    ("W013", "restorable", "A logged model's source run is in the archive."),
    ("W014", "restorable", "A trace's runs are in the archive."),
    ("W015", "restorable", "The logged models of a run's inputs and outputs are in the archive."),
    ("W016", "restorable", "An evaluation dataset's experiments are in the archive."),
    ("W017", "restorable", "An alias names a version that the record has."),
)  # fmt: skip

#: Every rule by its id.
RULES: dict[str, Rule] = {id: Rule(id, level, sentence) for id, level, sentence in _TABLE}
