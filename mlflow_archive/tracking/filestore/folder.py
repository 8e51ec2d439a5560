"""What is where in the folder of a file store, without MLflow.

Experiments are folders named by their ids, deleted ones below ``.trash``; below an experiment are a folder for each
run, ``traces``, ``models`` (logged models) and ``datasets``. ``models`` at the top holds the registry.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname

from mlflow_archive.errors import NotFoundError, UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import ObjectKey

META = "meta.yaml"
TRACE_META = "trace_info.yaml"
TRASH = ".trash"
#: Folders of an experiment that are no runs.
NO_RUNS = frozenset({"tags", "datasets", "traces", "models", TRASH})
_PROMPT_TAG = "mlflow.prompt.is_prompt"
_CODE = "file_store"


@dataclass(frozen=True, slots=True)
class Trouble:
    """What of a file store cannot be read: a path below its folder, with ``/``, and why."""

    path: str
    reason: str


def folder_of(uri: str) -> Path | None:
    """Return the folder that a tracking URI names, None if it is of another kind; it need not be there."""
    if uri.lower().startswith("file:"):
        parts = urlsplit(uri)
        return Path(url2pathname(parts.path)) if parts.netloc in ("", "localhost") else None
    if not uri or re.match(r"[A-Za-z][A-Za-z0-9+.-]+:|databricks$|uc$", uri) or re.fullmatch(r"[^/]+:\d+(/.*)?", uri):
        return None
    return Path(uri)


def is_file_store(folder: Path) -> bool:
    """Tell whether a folder holds an experiment or a registered model of a file store."""
    return any(
        next(folder.glob(pattern), None) for pattern in (f"*[0-9]/{META}", f"{TRASH}/*/{META}", f"models/*/{META}")
    )


def file_store(folder: Path) -> Path:
    """Return the folder of the file store: the given one, or ``mlruns`` below it.

    Raises:
        NotFoundError: There is no such folder.
        UsageError: There is no file store in it.
    """
    folder = folder.absolute()
    if not folder.is_dir():
        raise NotFoundError(f"There is no folder {folder}.", code=_CODE)
    for place in (folder, folder / "mlruns"):
        if is_file_store(place):
            return place
    raise UsageError(
        f"The folder {folder} holds no experiment of MLflow's file store: name the folder that mlruns/<id>/meta.yaml "
        "are in, or a server's address.",
        code=_CODE,
    )


def experiments(root: Path) -> Iterator[Path]:
    """Yield the folders of experiments, deleted ones too; a folder without a document is one if its name is an id."""
    for place in (root, root / TRASH):
        for folder in _folders(place):
            if folder.name not in (TRASH, "models") and (_is_id(folder.name) or (folder / META).is_file()):
                yield folder


def runs(experiment: Path) -> Iterator[Path]:
    """Yield the folders of the runs of an experiment."""
    return (folder for folder in _folders(experiment) if folder.name not in NO_RUNS)


def below(folder: Path, name: str) -> Iterator[Path]:
    """Yield the folders in a folder of a folder: traces, logged models, registered models, versions."""
    return _folders(folder / name)


def write_troubles(troubles: Iterable[Trouble], path: Path) -> None:
    """Write troubles as lines of JSON."""
    with path.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps([one.path, one.reason]) + "\n" for one in troubles)


def read_troubles(path: Path) -> list[Trouble]:
    """Read what `write_troubles` wrote."""
    with path.open(encoding="utf-8") as file:
        return [Trouble(*json.loads(line)) for line in file]


def losses_of(troubles: list[Trouble], root: Path) -> list[Loss]:
    """Return the losses that troubles are."""
    return [_loss(trouble, root) for trouble in troubles]


def _loss(trouble: Trouble, root: Path) -> Loss:
    parts = trouble.path.split("/")
    if parts[0] == TRASH:
        parts = parts[1:]
    if parts[0] == "models":
        key, rest = _registered(parts[1:], root)
    else:
        key, rest = _in_experiment(parts)
    return key.lost(_CODE, trouble.reason, path=None if rest in ([], [META], [TRACE_META]) else "/".join(rest))


def _registered(parts: list[str], root: Path) -> tuple[ObjectKey, list[str]]:
    name = parts[0] if parts else ""
    prompt = (root / "models" / name / "tags" / _PROMPT_TAG).is_file()
    rest = parts[1:]
    if rest and rest[0].startswith("version-"):
        rest = ["versions", rest[0].removeprefix("version-"), *(rest[1:] if rest[1:] != [META] else [])]
    return ObjectKey(Kind.PROMPT if prompt else Kind.REGISTERED_MODEL, name), rest


def _in_experiment(parts: list[str]) -> tuple[ObjectKey, list[str]]:
    experiment, *rest = parts
    if rest and rest[0] in ("traces", "models") and len(rest) > 1:
        kind = Kind.TRACE if rest[0] == "traces" else Kind.LOGGED_MODEL
        return ObjectKey(kind, rest[1], experiment), rest[2:]
    if rest and rest[0] not in NO_RUNS and rest != [META]:
        return ObjectKey(Kind.RUN, rest[0], experiment), rest[1:]
    return ObjectKey(Kind.EXPERIMENT, experiment), rest


def _folders(place: Path) -> Iterator[Path]:
    try:
        found = sorted(place.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return
    yield from (folder for folder in found if folder.is_dir())


def _is_id(name: str) -> bool:
    return name.isascii() and name.isdigit()
