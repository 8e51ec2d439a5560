"""Where the files of a version of a registered model are for another server, if they are not copied.

A version names its files by an address. The target can use the same address where it is the same server, or has the
run or the logged model that the files belong to; and anywhere, if the address is one of a store that everybody reaches
(``s3://...``). An address that means something to the source alone would make a version that nobody can load.
"""

from __future__ import annotations

import re

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.tracking.artifact_routes import local_path
from mlflow_archive.tracking.client import ServerClient
from mlflow_archive.tracking.paging import member, text
from mlflow_archive.tracking.rewriting import owner_in
from mlflow_archive.tracking.sinks.options import GivenPlace

_REST = "/api/2.0/mlflow/"
#: Addresses that only the server they come from can follow.
_ITS_OWN = re.compile(
    r"(mlflow-artifacts|models|runs|dbfs|mlflow-archive):|https?://.*/mlflow-artifacts/", re.IGNORECASE
)


def as_it_stands(here: ServerClient, there: ServerClient, version: JSONObject, run: JSONObject) -> GivenPlace:
    """Return the place of a version's files for the target.

    Args:
        here: The source.
        there: The target.
        version: The version as the source tells it.
        run: Its run as the source tells it; empty if there is none.

    Raises:
        UsageError: Only the source reaches the files.
    """
    same = here.uri == there.uri
    location = text(version.get("source"))
    if not same and not location.startswith("models:/m-"):
        # The number of another version, or a path in a run, means something else there.
        location = _location(here, version) or location
    owner = owner_in(location) or ""
    run_id, model_id = text(version.get("run_id")), text(version.get("model_id"))
    model_id = model_id or (owner if owner.startswith("m-") else "")
    link = text(version.get("run_link")) or None
    if same:
        return GivenPlace(location, run_id or None, model_id or None, link)
    if _has(there, owner):
        known = run_id if _has(there, run_id) else ""
        return GivenPlace(location, known or None, owner if owner.startswith("m-") else None, link)
    if _ITS_OWN.match(location) or local_path(location) is not None:
        raise UsageError(
            f"Only {here.uri} reaches the files of version {text(version.get('version'))} of "
            f"{text(version.get('name'))!r} ({location}): give an experiment of the target, to copy them with the run."
        )
    return GivenPlace(location, None, None, link or _link(here, run))


def _location(here: ServerClient, version: JSONObject) -> str:
    params = {"name": text(version.get("name")), "version": text(version.get("version"))}
    try:
        answer = here.call("GET", f"{_REST}model-versions/get-download-uri", params=params)
    except (NotFoundError, UsageError):
        return ""  # a version that is not ready has no place of its own
    return text(answer.get("artifact_uri"))


def _has(there: ServerClient, owner: str) -> bool:
    """Tell whether the target has a run or a logged model of this id; ids are unique in the world."""
    if not owner:
        return False
    try:
        if owner.startswith("m-"):
            if not there.at_least("3.0.0"):
                return False
            there.call("GET", f"{_REST}logged-models/{owner}")
        else:
            there.call("GET", f"{_REST}runs/get", params={"run_id": owner})
    except NotFoundError:
        return False
    return True


def _link(here: ServerClient, run: JSONObject) -> str | None:
    """Return the address of a run's page at the source, for people."""
    info = member(run, "info")
    if not info or not here.uri.startswith("http"):
        return None
    return f"{here.uri}/#/experiments/{text(info.get('experiment_id'))}/runs/{text(info.get('run_id'))}"
