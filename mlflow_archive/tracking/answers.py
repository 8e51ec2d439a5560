"""What a server's answer means: a JSON object, or one of our errors."""

from __future__ import annotations

import json
import re
from typing import Any

import requests

from mlflow_archive.errors import (
    FORBIDDEN,
    ConflictError,
    MlflowArchiveError,
    NotAuthorisedError,
    NotFoundError,
    UnavailableError,
    UnsupportedError,
    UsageError,
)
from mlflow_archive.spec.canonical import JSONObject

_MESSAGE_LIMIT = 2000


def json_object(response: requests.Response) -> JSONObject:
    """Return the JSON object of a good answer; bare ``NaN`` and ``Infinity`` become floats.

    Raises:
        UsageError: The answer is something else: the address is not an MLflow server's.
    """
    text = response.content.strip()
    if text in (b"", b"200 OK"):
        return {}
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if isinstance(value, dict):
        return value
    kind = response.headers.get("Content-Type", "").partition(";")[0] or "something else"
    raise UsageError(
        f"{_asked(response)} answered {kind} instead of a JSON object: check that the address is an MLflow server's "
        "and that no login page stands before it.",
        code="not_json",
    )


def error_of(response: requests.Response) -> MlflowArchiveError:
    """Return the error that an answer of status 400 or above stands for; reads its body."""
    status = response.status_code
    mlflow_code, message = _details(response)
    code = mlflow_code.lower() or None
    if status == 403:
        return NotAuthorisedError(
            f"{_asked(response)} is forbidden for this user (status 403): {message or 'no reason given'}.",
            code=FORBIDDEN,
        )
    if status == 401:
        return NotAuthorisedError(
            f"{_asked(response)} was refused with status 401: {message or 'no reason given'}. "
            "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN, of a user who may.",
            code=code,
        )
    if status == 404 or mlflow_code == "RESOURCE_DOES_NOT_EXIST":
        sentence = message or f"{_asked(response)} is not known to this server (404)."
        return NotFoundError(sentence, code=code or "endpoint_not_found")
    if mlflow_code == "RESOURCE_ALREADY_EXISTS":
        return ConflictError(message, code=code)
    if status == 501:
        return UnsupportedError(message or f"{_asked(response)} is not implemented by this server.", code=code)
    if status >= 500 and (package := _missing_package(message)):
        return UnsupportedError(
            f"{_asked(response)} failed: the server lacks the Python package {package}: install it there, or all of "
            "MLflow (pip install mlflow).",
            code="missing_package",
        )
    if status == 429 or status >= 500:
        return UnavailableError(
            f"{_asked(response)} failed with status {status}: {message or response.reason or 'no reason given'}",
            code=code,
        )
    return UsageError(message or f"{_asked(response)} was refused with status {status}.", code=code)


def is_broken_by_design(response: requests.Response) -> bool:
    """Tell whether a failure is MLflow's own exception, which mostly comes again, rather than a server in trouble."""
    return response.status_code == 500 and _details(response)[0] == "INTERNAL_ERROR"


def _missing_package(message: str) -> str | None:
    """Return the package that a server needs for a call and has not; mlflow-skinny brings few."""
    found = re.search(r"No module named '([\w.]+)'", message)
    return found[1] if found else None


def _details(response: requests.Response) -> tuple[str, str]:
    """Return MLflow's error code and message; empty where the answer is not MLflow's."""
    try:
        value: Any = json.loads(response.content)
    except (ValueError, RecursionError):
        return "", _plain_text(response)
    except requests.RequestException:
        return "", ""
    if not isinstance(value, dict):
        return "", ""
    message = value.get("message") or value.get("detail") or ""
    text = message if isinstance(message, str) else json.dumps(message)
    return str(value.get("error_code") or ""), text[:_MESSAGE_LIMIT]


def _plain_text(response: requests.Response) -> str:
    if not response.headers.get("Content-Type", "").startswith("text/plain"):
        return ""
    return re.sub(r"\s+", " ", response.content[:_MESSAGE_LIMIT].decode("utf-8", "replace")).strip()


def _asked(response: requests.Response) -> str:
    request = response.request
    path = (request.path_url or "").partition("?")[0] if request is not None else ""
    method = request.method if request is not None else ""
    return f"{method} {path}".strip() or "The request"
