"""The prompt record: rows of the model registry under another name (MLflow 2.21 and later).

A prompt is a registered model with the tag ``mlflow.prompt.is_prompt``; a prompt version keeps its template, type,
response format and model configuration in version tags (``mlflow.prompt.text``, ``_mlflow_prompt_type`` ...).
"""

from __future__ import annotations

from mlflow_archive.spec.records.registered_model import RegisteredModelRecord


class PromptRecord(RegisteredModelRecord):
    """A prompt with all its versions, aliases and tags, in the registry's own form."""
