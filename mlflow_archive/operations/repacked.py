"""What a repack did, as a value."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from mlflow_archive.errors import ExitCode
from mlflow_archive.spec.canonical import JSONObject


@dataclass(frozen=True, slots=True)
class RepackReport:
    """What was copied.

    Attributes:
        source: Where from, without credentials.
        target: Where to, without credentials.
        root_digest: The sha256 of the manifest, read back from the target and equal on both sides.
        objects: Objects of the archive.
        files: Files of the archive, documents and indexes included.
        size_bytes: Their size.
        kept_files: Those of them that were at the target already, from an interrupted repack.
        kept_bytes: The size of these.
        losses: What the backup could not read, as the manifest says.
        seconds: Time taken.
        converted: True if the source was an archive of mlflow-export-import, which is written anew: the digest is that
            of the new archive, and what could not be read is a loss.
    """

    source: str
    target: str
    root_digest: str
    objects: int
    files: int
    size_bytes: int
    kept_files: int
    kept_bytes: int
    losses: int
    seconds: float
    converted: bool = False

    @property
    def exit_code(self) -> ExitCode:
        """What the command line exits with: 3 if something was lost on the way, which only happens when converting."""
        return ExitCode.LOSSES if self.converted and self.losses else ExitCode.DONE

    def to_json(self) -> JSONObject:
        """Return the report as one JSON object, every field present."""
        return {**asdict(self), "seconds": round(self.seconds, 3)}
