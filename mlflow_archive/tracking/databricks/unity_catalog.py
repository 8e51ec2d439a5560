"""Unity Catalog's model registry under the paths of MLflow's own, for models called ``catalog.schema.model``.

What differs, and is met here:

- The paths have ``unity-catalog/`` in them, and listings show versions without their tags: each is asked for.
- There are no stages.
- A version gets its files after it was made, and is ready when it is declared so; they are copied out of the run or
  the logged model that the version is made from.
- A tag's key has none of the characters ``. , - = / :``; an underscore stands for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Protocol

from mlflow_archive.errors import MlflowArchiveError, NotAuthorisedError, NotFoundError, UsageError
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.tracking.paging import member, objects, text

_ROOT = "/api/2.0/mlflow/"
_UNITY = _ROOT + "unity-catalog/"
_REGISTRY = (_ROOT + "registered-models/", _ROOT + "model-versions/")
_MODELS_PAGE = 100
_NAME_FILTER = re.compile(r"\s*name\s*=\s*(['\"])(?P<name>.*)\1\s*")
_NO_KEY = re.compile(r"[.,\-=/:]")
#: Stands before the page tokens of Unity Catalog's listing, which follows that of the workspace.
_IN_UNITY = "unity-catalog:"


class Call(Protocol):
    """Sends a request to the workspace, as `ServerClient.call`."""

    def __call__(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | None = None,
        body: JSONObject | None = None,
        repeatable: bool = True,
    ) -> JSONObject:
        """See the class."""
        ...


#: Finds the files that a version is made of by the body of its request, and returns what copies them to the version of
#: that name and number. Raises `UsageError` if there are none.
FindFiles = Callable[[JSONObject], Callable[[str, str], None]]


def in_unity_catalog(name: str) -> bool:
    """Tell whether a model of this name is Unity Catalog's."""
    parts = name.split(".")
    return len(parts) == 3 and all(parts)


def unity_key(key: str) -> str:
    """Return the key under which Unity Catalog has a tag."""
    return _NO_KEY.sub("_", key)


class UnityCatalog:
    """The registry of one workspace's Unity Catalog."""

    def __init__(self, call: Call, *, unity_only: bool) -> None:
        """Ask nothing yet.

        Args:
            call: Sends requests to the workspace.
            unity_only: The workspace's own registry is not used at all.
        """
        self._call = call
        self._unity_only = unity_only
        self.notes: dict[str, None] = {}
        """Sentences about what could not be listed."""
        self.find_files: FindFiles | None = None
        """Set by those who reach the files; without it versions are made without files."""

    def wants(self, path: str, asked: Mapping[str, object]) -> bool:
        """Tell whether a request of MLflow's registry is for this one."""
        if not path.startswith(_REGISTRY):
            return False
        name = _name(path, asked)
        return self._unity_only or name is None or in_unity_catalog(name)

    def call(self, method: str, path: str, params: Mapping[str, object], body: JSONObject | None) -> JSONObject:
        """Answer a request of MLflow's registry; errors are those of `ServerClient.call`."""
        below = path.removeprefix(_ROOT)
        if below == "registered-models/search":
            return self._search(params)
        name = _name(path, body if body is not None else params) or ""
        if not in_unity_catalog(name):
            raise UsageError(
                f"Unity Catalog calls its models catalog.schema.model, which {name!r} is not: rename the model.",
                code="model_name",
            )
        if below == "model-versions/transition-stage":
            raise UsageError("Unity Catalog has no stages of model versions; it has aliases.", code="unsupported")
        if below == "model-versions/create":
            return self._create(body or {})
        if below == "model-versions/search":
            return self._search_versions(params)
        answer = self._call(method, _UNITY + below, params=params or None, body=_with_keys(body))
        return _with_dots(answer)

    def _search(self, params: Mapping[str, object]) -> JSONObject:
        """List the workspace's own models, then Unity Catalog's."""
        token = str(params.get("page_token") or "")
        if not token.startswith(_IN_UNITY) and not self._unity_only:
            answer = self._listed("the workspace's own registry", _ROOT + "registered-models/search", params)
            return {**answer, "next_page_token": text(answer.get("next_page_token")) or _IN_UNITY}
        asked: dict[str, object] = {"max_results": _MODELS_PAGE}
        if token.removeprefix(_IN_UNITY):
            asked["page_token"] = token.removeprefix(_IN_UNITY)
        answer = self._listed("Unity Catalog", _UNITY + "registered-models/search", asked)
        following = text(answer.get("next_page_token"))
        return {**answer, "next_page_token": _IN_UNITY + following if following else ""}

    def _listed(self, what: str, path: str, params: Mapping[str, object]) -> JSONObject:
        try:
            return self._call("GET", path, params=params)
        except (NotAuthorisedError, NotFoundError, UsageError) as error:
            if isinstance(error, NotAuthorisedError) and not error.forbidden:
                raise
            self.notes[f"The models of {what} were not read, as the workspace refuses: {error}"] = None
            return {}

    def _search_versions(self, params: Mapping[str, object]) -> JSONObject:
        answer = self._call("GET", _UNITY + "model-versions/search", params=params)
        found = [
            self._call(
                "GET",
                _UNITY + "model-versions/get",
                params={"name": text(row.get("name")), "version": text(row.get("version"))},
            )
            for row in objects(answer.get("model_versions"))
        ]
        return {**answer, "model_versions": [member(_with_dots(each), "model_version") for each in found]}

    def _create(self, body: JSONObject) -> JSONObject:
        """Make a version, give it its files, and declare it ready; one that gets no files is taken away again."""
        name = text(body.get("name"))
        # Before a number is used up.
        copy = self.find_files(body) if self.find_files is not None else None
        known = {key: value for key, value in body.items() if key != "run_link"}
        answer = self._call("POST", _UNITY + "model-versions/create", body=_with_keys(known), repeatable=False)
        number = text(member(answer, "model_version").get("version"))
        which: JSONObject = {"name": name, "version": number}
        try:
            if copy is not None:
                copy(name, number)
        except MlflowArchiveError:
            self._call("DELETE", _UNITY + "model-versions/delete", body=which)
            raise
        ready = self._call("POST", _UNITY + "model-versions/finalize", body=which)
        return _with_dots(ready if ready.get("model_version") else answer)


def _name(path: str, asked: Mapping[str, object]) -> str | None:
    """Return the model a request is about; None if it is about all of them."""
    if path.endswith("/model-versions/search"):
        match = _NAME_FILTER.match(str(asked.get("filter") or ""))
        return match["name"] if match else ""
    if path.endswith("/registered-models/search"):
        return None
    return str(asked.get("name") or "")


def _with_keys(body: JSONObject | None) -> JSONObject | None:
    """Return a request with keys of tags as Unity Catalog takes them."""
    if body is None:
        return None
    written = dict(body)
    if "key" in written:
        written["key"] = unity_key(text(written["key"]))
    if "tags" in written:
        written["tags"] = [{**tag, "key": unity_key(text(tag.get("key")))} for tag in objects(written["tags"])]
    return written


def _with_dots(answer: JSONObject) -> JSONObject:
    """Return an answer in which the tags of earlier restores are called as everywhere else."""
    return {
        field: {**value, "tags": [_dotted(tag) for tag in objects(value.get("tags"))]}
        if isinstance(value, dict) and field in ("registered_model", "model_version")
        else value
        for field, value in answer.items()
    }


def _dotted(tag: JSONObject) -> JSONObject:
    key, written = text(tag.get("key")), unity_key(provenance.PREFIX)
    return {**tag, "key": provenance.PREFIX + key.removeprefix(written)} if key.startswith(written) else tag
