"""What all documents of the format share: frozen, unknown fields kept, every problem reported with its place."""

from __future__ import annotations

from typing import Any, TypeVar, cast

from pydantic import BaseModel, ConfigDict, ValidationError

from mlflow_archive.errors import IntegrityError, Problem
from mlflow_archive.spec.canonical import JSONObject, document_bytes, line_bytes, parse_object

_D = TypeVar("_D", bound="Document")


class Document(BaseModel):
    """A JSON object of the format.

    Unknown fields are kept and written back (rule E014 forbids dropping them), so that what a newer MLflow or a
    newer writer said survives a round trip through this version.
    """

    model_config = ConfigDict(frozen=True, extra="allow", populate_by_name=True, protected_namespaces=())

    @classmethod
    def from_json(cls: type[_D], value: JSONObject, path: str) -> _D:
        """Check a parsed object against this class.

        Args:
            value: The parsed object.
            path: Where it stands in the archive, for the errors.

        Raises:
            IntegrityError: One problem (E015) for each field that is missing or of the wrong type.
        """
        try:
            return cls.model_validate(value)
        except ValidationError as error:
            problems = tuple(
                Problem("E015", path, f"{'.'.join(str(p) for p in item['loc']) or '(document)'}: {item['msg']}")
                for item in error.errors(include_url=False, include_input=False, include_context=False)
            )
            first = problems[0].message
            raise IntegrityError(f"{path} is not a valid {cls.__name__}: {first} (E015).", problems=problems) from error

    @classmethod
    def from_bytes(cls: type[_D], data: bytes, path: str) -> _D:
        """Parse and check the bytes of a document or of a line.

        Raises:
            IntegrityError: As `canonical.parse` and `from_json`.
        """
        return cls.from_json(parse_object(data, path), path)

    def to_json(self) -> JSONObject:
        """Return the JSON object, unknown fields included; fields that were never set are left out."""
        return cast("JSONObject", self.model_dump(mode="json", by_alias=True, exclude_unset=True))

    def to_bytes(self) -> bytes:
        """Return the bytes of this document, indented."""
        return document_bytes(self.to_json())

    def to_line(self) -> bytes:
        """Return the bytes of this object as one line of a ``.jsonl`` file."""
        return line_bytes(self.to_json())

    @property
    def unknown_fields(self) -> dict[str, Any]:
        """The fields that this version does not know."""
        return dict(self.model_extra or {})
