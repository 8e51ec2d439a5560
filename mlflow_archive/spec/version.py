"""The version of the format, and the rule for refusing what is newer (spec/v1/archive.md, "Evolution")."""

from __future__ import annotations

FORMAT = "mlflow-archive"
SPEC_VERSION = "1.0"
SPEC_MAJOR = 1

#: Named features of this version of the tool, per operation.
#: A reader refuses an operation when the marker lists a name that is not here (E004).
READ_FEATURES: frozenset[str] = frozenset()
VERIFY_FEATURES: frozenset[str] = frozenset()
