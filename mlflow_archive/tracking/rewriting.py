"""References hidden in texts, changed from the source's ids to the target's. Pure functions.

A reference whose object is not at the target is left as it is, unless a function says otherwise.
"""

from __future__ import annotations

import re

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.idmap import IdMap

#: Run tags that name another run as their whole value; without it at the target they are left out.
RUN_POINTERS = ("mlflow.parentRunId", "mlflow.rootRunId")
#: Run tags whose text holds run and logged model ids.
RUN_TAGS_WITH_IDS = frozenset({"mlflow.log-model.history", "mlflow.source.run_id", "mlflow.sourceRun"})
#: Trace metadata and assessment metadata that name runs, models and experiments.
TRACE_METADATA_WITH_IDS = frozenset({"mlflow.sourceRun", "mlflow.modelId", "mlflow.assessment.sourceRunId"})
#: The tag of a prompt that lists experiments, as ``,1,2,``.
PROMPT_EXPERIMENTS = "_mlflow_experiment_ids"
#: The tag of a logged model that lists the registered versions made from it, as JSON.
MODEL_VERSIONS = "mlflow.modelVersions"
#: Begins the source of a model version that was restored without its files, whose place the registry refused: a scheme
#: of our own, which every registry keeps and nothing can mistake for files.
NO_PLACE = "mlflow-archive:/"

_ID = re.compile(r"(?<![0-9A-Za-z])(m-[0-9a-f]{32}|[0-9a-f]{32})(?![0-9A-Za-z])")
_REGISTRY_URI = re.compile(r"models:/(?!m-[0-9a-f]{32})([^/@]+)([/@].+)")
_EXPERIMENT_IN_LINK = re.compile(r"(experiments/)(\d+)")
_NAME_IN_JSON = re.compile(r'("name":\s*)"([^"]*)"')
_MLMODEL_LINE = re.compile(
    rb"^(?P<key>run_id|model_id|model_uuid|artifact_path)(?P<colon>:[ \t]+)(?P<quote>['\"]?)(?P<value>[^'\"\r\n]*)"
    rb"(?P=quote)(?P<end>[ \t]*\r?\n?)$"
)


def replace_ids(text: str, ids: IdMap) -> str:
    """Replace every run id and logged model id in a text that the map knows."""
    return _ID.sub(lambda match: ids.any_id(match[1]) or match[1], text)


def unknown_model_ids(text: str, ids: IdMap) -> bool:
    """Tell whether a text names a logged model that the map does not know (yet)."""
    return any(name.startswith("m-") and ids.any_id(name) is None for name in _ID.findall(text))


def rewrite_location(uri: str, ids: IdMap) -> str:
    """Return where the files behind a URI are at the target.

    ``runs:/`` and ``models:/m-`` get the new id, ``models:/name/version`` the new name, and a path or URI inside a
    known run's or logged model's artifact root starts at the new root. Anything else stays.
    """
    if uri.startswith(("runs:/", "models:/m-")):
        return replace_ids(uri, ids)
    if registry := _REGISTRY_URI.fullmatch(uri):
        return f"models:/{ids.model_names.get(registry[1], registry[1])}{registry[2]}"
    for match in reversed(list(_ID.finditer(uri))):
        rest = uri[match.end() :]
        root = ids.any_root(match[1])
        if root is not None and (rest == "/artifacts" or rest.startswith("/artifacts/")):
            return root.rstrip("/") + rest.removeprefix("/artifacts")
    return uri


def owner_in(uri: str) -> str | None:
    """Return the run or logged model id that a source URI lies in, if it says so."""
    found = _ID.findall(uri)
    return found[-1] if found else None


def rewrite_run_link(link: str, ids: IdMap) -> str:
    """Rewrite a link to a run's page: its experiment id only if the run is known."""
    rewritten = replace_ids(link, ids)
    if rewritten == link:
        return link
    return _EXPERIMENT_IN_LINK.sub(lambda match: match[1] + (ids.get(Kind.EXPERIMENT, match[2]) or match[2]), rewritten)


def rewrite_run_tag(key: str, value: str, ids: IdMap) -> str | None:
    """Return a run tag's value for the target; None for a pointer to a run that is not there."""
    if key in RUN_POINTERS:
        return ids.get(Kind.RUN, value)
    if key in RUN_TAGS_WITH_IDS:
        return replace_ids(value, ids)
    return value


def rewrite_experiment_list(value: str, ids: IdMap) -> str:
    """Rewrite ``,1,2,``; experiments that are not at the target are left out, as their number means another one."""
    known = [ids.get(Kind.EXPERIMENT, part) for part in value.split(",") if part]
    kept = [name for name in known if name]
    return f",{','.join(kept)}," if kept else ""


def rewrite_model_versions(value: str, ids: IdMap) -> str:
    """Rewrite the registered model names in the tag ``mlflow.modelVersions``."""
    return _NAME_IN_JSON.sub(
        lambda match: f'{match[1]}"{ids.model_names.get(match[2], match[2])}"' if "\\" not in match[2] else match[0],
        value,
    )


def rewrite_metadata(metadata: dict[str, str], ids: IdMap) -> dict[str, str]:
    """Rewrite trace metadata or assessment metadata."""
    return {
        key: replace_ids(value, ids) if key in TRACE_METADATA_WITH_IDS else value for key, value in metadata.items()
    }


def rewrite_record_source(source: JSONValue, ids: IdMap) -> JSONValue:
    """Rewrite run and model ids in the ``source`` of an evaluation record or an assessment; trace ids stay the same."""
    if isinstance(source, str):
        return replace_ids(source, ids)
    if isinstance(source, list):
        return [rewrite_record_source(item, ids) for item in source]
    if isinstance(source, dict):
        return {key: rewrite_record_source(item, ids) for key, item in source.items()}
    return source


def rewrite_payload(payload: JSONObject, ids: IdMap) -> JSONObject:
    """Rewrite the run and model ids in all texts of a JSON object."""
    return {key: rewrite_record_source(value, ids) for key, value in payload.items()}


def is_mlmodel(name: str) -> bool:
    """Tell whether a file is the description of a model."""
    return name == "MLmodel" or name.endswith("/MLmodel")


def rewrite_mlmodel(data: bytes, ids: IdMap) -> bytes:
    """Edit the ids and locations of an ``MLmodel`` file line by line; every other byte stays."""
    return b"".join(_mlmodel_line(line, ids) for line in data.splitlines(keepends=True))


def _mlmodel_line(line: bytes, ids: IdMap) -> bytes:
    match = _MLMODEL_LINE.match(line)
    if match is None:
        return line
    value = match["value"].decode("utf-8", "surrogateescape")
    new = rewrite_location(value, ids) if match["key"] == b"artifact_path" else replace_ids(value, ids)
    if new == value:
        return line
    quote = match["quote"]
    return b"".join((match["key"], match["colon"], quote, new.encode("utf-8", "surrogateescape"), quote, match["end"]))
