"""What one server is spoken to with, where MLflow's own environment variables are for another one.

MLflow takes user, password, token and certificates from variables of the process, which are one set for all servers.
Each end of a copy may have a set of its own, with MLflow's own names (`SETTINGS`): a mapping, a file of ``NAME=value``
lines, or variables of the process that begin with the end's prefix (`PREFIXES`) in place of ``MLFLOW_``. An end that
has any of its own takes nothing from MLflow's variables or from ``~/.mlflow/credentials``, so that what opens one
server is never sent to another. No message of this module has a value in it.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from mlflow_archive.errors import UsageError

if TYPE_CHECKING:
    from mlflow.utils.rest_utils import MlflowHostCreds

Side = Literal["source", "target"]
#: A mapping of MLflow's names to values, or the path of a file of them.
Settings = Mapping[str, str] | str | os.PathLike[str]

#: What an end may have of its own, by MLflow's names.
SETTINGS = (
    "MLFLOW_TRACKING_URI",
    "MLFLOW_TRACKING_USERNAME",
    "MLFLOW_TRACKING_PASSWORD",
    "MLFLOW_TRACKING_TOKEN",
    "MLFLOW_TRACKING_AUTH",
    "MLFLOW_TRACKING_AWS_SIGV4",
    "MLFLOW_TRACKING_INSECURE_TLS",
    "MLFLOW_TRACKING_SERVER_CERT_PATH",
    "MLFLOW_TRACKING_CLIENT_CERT_PATH",
)
#: ``MLFLOW_ARCHIVE_SOURCE_TRACKING_TOKEN`` is the source's ``MLFLOW_TRACKING_TOKEN``.
PREFIXES: Mapping[Side, str] = {"source": "MLFLOW_ARCHIVE_SOURCE_", "target": "MLFLOW_ARCHIVE_TARGET_"}

_LINE = re.compile(r"(?:export\s+)?(?P<name>[A-Za-z_][A-Za-z0-9_]*)\s*=\s*(?P<value>.*)")


def settings_of(side: Side, given: Settings | None) -> dict[str, str] | None:
    """Return an end's own settings; None if it has none, so that MLflow's variables count.

    Args:
        side: Which end; for its prefix.
        given: What the caller gave; None is the variables of the process that begin with the end's prefix.

    Raises:
        UsageError: There is a name that is none of `SETTINGS`, a line without a name, or no such file.
    """
    if given is None:
        prefix = PREFIXES[side]
        own = {
            "MLFLOW_" + name.removeprefix(prefix): text for name, text in os.environ.items() if name.startswith(prefix)
        }
        return _known(own, f"the variables {prefix}*") if own else None
    if isinstance(given, Mapping):
        return _known(given, f"the settings of the {side}")
    return _known(_lines(Path(given)), str(given))


def host_credentials(address: str, own: Mapping[str, str] | None) -> MlflowHostCreds:
    """Return MLflow's credentials for an address: its own choice, or made of an end's settings.

    Raises:
        UsageError: The settings contradict each other.
    """
    from mlflow.exceptions import MlflowException
    from mlflow.utils.credentials import get_default_host_creds
    from mlflow.utils.rest_utils import MlflowHostCreds

    if own is None:
        return get_default_host_creds(address)

    def value(name: str) -> str | None:
        return own.get(f"MLFLOW_TRACKING_{name}") or None

    def switch(name: str) -> bool:
        return (value(name) or "false").lower() in ("true", "1")

    try:
        return MlflowHostCreds(
            host=address,
            username=value("USERNAME"),
            password=value("PASSWORD"),
            token=value("TOKEN"),
            auth=value("AUTH"),
            aws_sigv4=switch("AWS_SIGV4"),
            ignore_tls_verification=switch("INSECURE_TLS"),
            server_cert_path=value("SERVER_CERT_PATH"),
            client_cert_path=value("CLIENT_CERT_PATH"),
        )
    except MlflowException as error:
        raise UsageError(f"The settings of one end contradict each other: {error.message}") from None


def _known(given: Mapping[str, str], where: str) -> dict[str, str]:
    unknown = sorted(set(given) - set(SETTINGS))
    if unknown:
        raise UsageError(f"{', '.join(unknown)} in {where} is no setting of a server; those are {', '.join(SETTINGS)}.")
    return dict(given)


def _lines(path: Path) -> dict[str, str]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise UsageError(f"The file of settings {str(path)!r} cannot be read: {reason}.") from None
    found = {}
    for number, line in enumerate(text.splitlines(), start=1):
        plain = line.strip()
        if not plain or plain.startswith("#"):
            continue
        match = _LINE.fullmatch(plain)
        if match is None:
            raise UsageError(f"Line {number} of {str(path)!r} is not NAME=value.")
        found[match["name"]] = _unquoted(match["value"])
    return found


def _unquoted(value: str) -> str:
    if len(value) > 1 and value[0] == value[-1] and value[0] in "'\"":
        return value[1:-1]
    return value
