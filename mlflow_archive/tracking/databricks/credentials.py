"""From ``databricks://profile`` to requests that a workspace takes: the credentials are databricks-sdk's business.

No message of this module has a value of the configuration in it but the names of the profile and the host.
"""

from __future__ import annotations

import importlib.util
import re
from contextlib import suppress
from typing import Any

import requests

from mlflow_archive.errors import NotAuthorisedError, UnsupportedError, UsageError
from mlflow_archive.storage.databricks_profile import configuration
from mlflow_archive.tracking.sending import Request, mount_quick_adapter

_URI = re.compile(r"(?P<registry>databricks|databricks-uc)(://(?P<profile>[^/?#]*)/?)?", re.IGNORECASE)
_TIMEOUT_SECONDS = 120.0


def is_workspace(uri: str) -> bool:
    """Tell whether a tracking URI is one of a Databricks workspace."""
    return uri.lower().startswith("databricks")


def profile_in(uri: str) -> tuple[str | None, bool]:
    """Return the profile that a URI names, and whether it wants Unity Catalog's registry alone.

    Args:
        uri: ``databricks``, ``databricks://profile``, ``databricks-uc`` or ``databricks-uc://profile``.

    Raises:
        UsageError: It is of no such form.
    """
    match = _URI.fullmatch(uri)
    if match is None or ":" in (match["profile"] or ""):
        raise UsageError(
            "A Databricks workspace is given as databricks or databricks://profile, with a profile of "
            "~/.databrickscfg; secret scopes have no meaning outside of MLflow."
        )
    return match["profile"] or None, match["registry"].lower() == "databricks-uc"


class WorkspaceSender:
    """Sends requests to a workspace, each with credentials that the SDK keeps fresh."""

    def __init__(self, profile: str | None, *, parallelism: int) -> None:
        """Find the credentials; nothing is asked of the workspace yet, but perhaps of those who give out tokens.

        Args:
            profile: Of ``~/.databrickscfg``; None is where the SDK looks (``DATABRICKS_*``, the default profile,
                a notebook's own).
            parallelism: How many requests may be under way at once.

        Raises:
            UnsupportedError: databricks-sdk is not installed.
            NotAuthorisedError: There are no credentials that work.
        """
        self._config = _configured(profile)
        self.host = str(self._config.host).rstrip("/")
        self._session = requests.Session()
        self._session.auth = self._sign
        mount_quick_adapter(self._session, parallelism)
        self._cloud = requests.Session()
        mount_quick_adapter(self._cloud, parallelism)

    def send(self, request: Request) -> requests.Response:
        """Send once. A path that is a whole address is one that the workspace signed, and goes without credentials."""
        signed = request.path.startswith(("https://", "http://"))
        session = self._cloud if signed else self._session
        timeout = _TIMEOUT_SECONDS if request.timeout_seconds is None else request.timeout_seconds
        return session.request(
            request.method,
            request.path if signed else self.host + request.path,
            params=request.params,  # type: ignore[arg-type]  # values of any type are turned into strings by requests
            data=request.body,
            headers=dict(request.headers),
            stream=request.stream,
            timeout=timeout,
            allow_redirects=False,
        )

    def close(self) -> None:
        """End the connections."""
        self._session.close()
        self._cloud.close()

    def _sign(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        headers: dict[str, str] = {}
        with suppress(OSError, ValueError, RuntimeError):
            headers = dict(self._config.authenticate())
        if not headers or any(not value.isprintable() for value in headers.values()):
            raise NotAuthorisedError(
                f"The credentials for {self.host} could not be renewed: log in again, or check the profile."
            )
        if self._config.workspace_id:
            headers["X-Databricks-Workspace-Id"] = str(self._config.workspace_id)
        request.headers.update(headers)
        return request


def _configured(profile: str | None) -> Any:
    require_sdk()
    # The SDK's words list the whole configuration, so none of them are shown.
    with suppress(OSError, ValueError, RuntimeError):
        config = configuration({"profile": profile} if profile else {})
        config.authenticate()
        if config.host:
            return config
    where = f"the profile {profile!r}" if profile else "a profile"
    raise NotAuthorisedError(
        f"There are no credentials for Databricks that work: have {where} in ~/.databrickscfg with host and token, "
        "or set DATABRICKS_HOST and DATABRICKS_TOKEN and give databricks alone.",
        code="no_credentials",
    )


def require_sdk() -> None:
    """Raise `UnsupportedError` if databricks-sdk is not installed."""
    try:
        found = importlib.util.find_spec("databricks.sdk") is not None
    except ModuleNotFoundError:
        found = False
    if not found:
        raise UnsupportedError(
            "The package for Databricks is not installed: run pip install 'mlflow-archive[databricks]'.",
            code="missing_package",
        )
