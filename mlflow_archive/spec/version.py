"""The versions of the package and of the format; newer formats are refused (spec/v1/archive.md, "Evolution")."""

from __future__ import annotations

#: The version of this package, the one place where it stands.
TOOL_VERSION = "0.1.0"

FORMAT = "mlflow-archive"
SPEC_VERSION = "1.0"
SPEC_MAJOR = 1

#: Named features of this version of the tool, per operation.
#: A reader refuses an operation when the marker lists a name that is not here (E004).
READ_FEATURES: frozenset[str] = frozenset()
VERIFY_FEATURES: frozenset[str] = frozenset()
