"""Prompts: a document for each version, and none for the prompt itself.

An export has of a version its template, tags, message and times. It leaves out the response format and the model
configuration, and of the prompt its own description, tags and aliases. Whether there were any nobody can tell.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from functools import partial

from mlflow_archive.errors import IntegrityError, MlflowArchiveError
from mlflow_archive.predecessor.places import Place
from mlflow_archive.predecessor.tree import Tree
from mlflow_archive.predecessor.values import first, integer, member, tags, text, without_empty
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.prompt import PromptRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey

#: The folder of a version in an export of several.
_FOLDER = re.compile(r"(?P<name>.+)_v(?P<version>[0-9]+)")
_IS_PROMPT = {"mlflow.prompt.is_prompt": "true"}
#: A registry asks for a source, and takes only this one from a prompt.
_SOURCE = "dummy-source"
#: What a version says that is kept in its tags, is derived, or belongs to the prompt.
_ELSEWHERE = ("name", "template", "tags", "commit_message", "description", "variables", "uri")
_LEFT_OUT = (
    "Exports of prompts have neither a prompt's own description, tags and aliases nor the response formats and model "
    "configurations of its versions; whether there were any cannot be told."
)


def read(tree: Tree, places: Iterable[Place], selection: Selection) -> Iterator[Item | Loss]:
    """List the prompts, each with all its versions."""
    found: dict[str, list[Place]] = {}
    for place in places:
        named = _FOLDER.fullmatch(place.id)
        try:
            name = named["name"] if named else text(_prompt(tree, place).get("name"))
        except MlflowArchiveError as error:
            yield ObjectKey(Kind.PROMPT, "").lost(error.code, str(error), path=place.path, retryable=error.retryable)
            continue
        found.setdefault(name, []).append(place)
    if found:
        tree.note(_LEFT_OUT)
    for name, versions in found.items():
        if selection.wants_prompt(name):
            key = ObjectKey(Kind.PROMPT, name, name=name)
            yield Item(key, partial(_load, tree, key, tuple(versions)))


def _load(tree: Tree, key: ObjectKey, places: tuple[Place, ...]) -> Content:
    versions: dict[int, JSONObject] = {}
    losses: list[Loss] = []
    for place in places:
        try:
            version = _version(_prompt(tree, place), place)
        except MlflowArchiveError as error:
            if len(places) == 1:
                raise
            losses.append(key.lost(error.code, str(error), path=place.path, retryable=error.retryable))
            continue
        versions.setdefault(integer(version["version"]) or 0, version)
    if not versions:
        raise IntegrityError(f"None of the {len(places)} versions of the prompt {key.id!r} can be read.")
    times = [time for version in versions.values() if (time := integer(version.get("creation_timestamp")))]
    value: JSONObject = {
        "name": key.id,
        "tags": {**_IS_PROMPT},
        "versions": [versions[number] for number in sorted(versions)],
        **({"creation_timestamp": min(times), "last_updated_timestamp": max(times)} if times else {}),
    }
    return Content(PromptRecord.from_json(value, places[0].path), losses=tuple(losses))


def _prompt(tree: Tree, place: Place) -> JSONObject:
    return member(tree.document(place.path).payload, "prompt")


def _version(prompt: JSONObject, place: Place) -> JSONObject:
    """Return a version in the registry's own form, where template and type are tags."""
    number = integer(prompt.get("version"))
    if number is None or number < 1:
        raise IntegrityError(f"{place.path} is version {prompt.get('version')!r} of a prompt, which is no number.")
    template = prompt.get("template")
    if not isinstance(template, (str, list)):
        raise IntegrityError(f"{place.path} has no template.")
    own = {
        "mlflow.prompt.text": template if isinstance(template, str) else json.dumps(template),
        "_mlflow_prompt_type": "text" if isinstance(template, str) else "chat",
    }
    message = first((text(prompt.get("commit_message")), text(prompt.get("description"))))
    times = {name: integer(prompt.get(name)) for name in ("creation_timestamp", "last_updated_timestamp")}
    return {
        **without_empty(prompt, *_ELSEWHERE, *times),
        **{name: time for name, time in times.items() if time is not None},
        **({"description": message} if message else {}),
        "version": number,
        "source": _SOURCE,
        "tags": {**tags(prompt.get("tags")), **_IS_PROMPT, **own},
    }
