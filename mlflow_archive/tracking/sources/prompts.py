"""Prompts: rows of the model registry under another name (MLflow 2.21 and later)."""

from __future__ import annotations

from mlflow_archive.tracking.sources.registered_models import read_prompts as read

__all__ = ["read"]
