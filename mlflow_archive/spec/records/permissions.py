"""Permissions of an object, as a Databricks workspace has them; part of the records of objects that can have some."""

from __future__ import annotations

from mlflow_archive.spec.base import Document


class Grant(Document):
    """What one principal may do with an object, by a grant on the object itself, not on a folder or schema above."""

    principal: str
    """Name of a user, a group, or a service principal."""
    principal_type: str | None = None
    """``user``, ``group`` or ``service_principal``; absent where the source does not tell (Unity Catalog)."""
    privileges: tuple[str, ...]
    """Words of the source: levels of a workspace (``CAN_EDIT`` ...), privileges of Unity Catalog (``EXECUTE`` ...)."""
