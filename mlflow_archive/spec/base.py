"""What all documents of the format share: frozen, unknown fields kept, every problem reported with its place."""

from __future__ import annotations

import json
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
    def from_json(cls: type[_D], value: JSONObject, path: str, *, strict: bool = False) -> _D:
        """Check a parsed object against this class.

        Args:
            value: The parsed object.
            path: Where it stands in the archive, for the errors.
            strict: Take exactly the types of the specification; otherwise ``"12"`` is understood as 12, which
                is how MLflow's REST API writes 64-bit integers.

        Raises:
            IntegrityError: One problem (E015) for each field that is missing or of the wrong type.
        """
        try:
            if strict:
                # pydantic takes lists for tuples and words for enums strictly only from JSON.
                cls.model_validate_json(json.dumps(value, ensure_ascii=False).encode("utf-8", "replace"), strict=True)
            return cls.model_validate(value)
        except ValidationError as error:
            problems = tuple(
                Problem("E015", path, f"{'.'.join(str(p) for p in item['loc']) or '(document)'}: {item['msg']}")
                for item in error.errors(include_url=False, include_input=False, include_context=False)
            )
            first = problems[0].message
            raise IntegrityError(f"{path} is not a valid {cls.__name__}: {first} (E015).", problems=problems) from error

    @classmethod
    def from_bytes(cls: type[_D], data: bytes, path: str, *, strict: bool = False) -> _D:
        """Parse and check the bytes of a document or of a line; ``strict`` as in `from_json`.

        Raises:
            IntegrityError: As `canonical.parse` and `from_json`.
        """
        return cls.from_json(parse_object(data, path), path, strict=strict)

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
