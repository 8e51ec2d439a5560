"""Credentials of a Databricks workspace, as databricks-sdk finds them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from mlflow_archive.spec.version import TOOL_VERSION

#: The SDK tries for five minutes otherwise, and begins by asking the host about itself.
_TIMEOUTS = {"http_timeout_seconds": 60, "retry_timeout_seconds": 60}


def configuration(settings: Mapping[str, str]) -> Any:
    """Return the SDK's ``Config`` of ``host``, ``token`` or ``profile``; what is missing it looks for itself.

    A profile that is named counts alone: to the SDK ``DATABRICKS_HOST`` and its like stand above it, so that two
    profiles could be the same workspace.

    Raises:
        ValueError, OSError, RuntimeError: There are no credentials. The words list the whole configuration and are to
            be shown to nobody.
    """
    from databricks.sdk.config import Config

    Config.attributes()  # which are found in the class itself, and kept for those below it

    class OfProfile(Config):  # type: ignore[misc]  # the package brings no types to those who do not have it
        def _load_from_env(self) -> None:
            """Take nothing from the environment."""

    known: dict[str, Any] = {"product": "mlflow-archive", "product_version": TOOL_VERSION, **_TIMEOUTS, **settings}
    if "profile" not in settings:
        return Config(**known)
    if "DATABRICKS_CONFIG_FILE" in os.environ:
        known["config_file"] = os.environ["DATABRICKS_CONFIG_FILE"]
    return OfProfile(**known)
