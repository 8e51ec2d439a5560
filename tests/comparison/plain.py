"""MLflow's entities as plain, comparable values."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from enum import Enum
from typing import Any


class Names:
    """Stands between ids that differ from server to server and names that do not.

    An experiment is known by its name, and a place below its artifact location as ``{name}/...``.
    """

    def __init__(self) -> None:
        self.experiments: dict[str, str] = {}
        self._places: list[tuple[str, str]] = []

    def add_experiment(self, experiment_id: str, name: str, location: str) -> None:
        """Learn an experiment."""
        self.experiments[experiment_id] = name
        self._places.append((location.rstrip("/"), "{" + name + "}"))
        self._places.sort(reverse=True)

    def place(self, text: str) -> str:
        """Replace artifact locations of experiments inside a text by their names."""
        for location, name in self._places:
            start = 0
            while (found := text.find(location, start)) >= 0:
                end = found + len(location)
                if text[end : end + 1] in {"", "/", '"', "\n", "'"}:
                    text = text[:found] + name + text[end:]
                    start = found + len(name)
                else:
                    start = end
        return text

    def experiment(self, value: object) -> object:
        """Replace an experiment id, or a list of them, by names."""
        if isinstance(value, list):
            return sorted(str(self.experiments.get(str(one), one)) for one in value)
        return self.experiments.get(str(value), value)


class Plain:
    """Turns entities into JSON values with the names of one server."""

    def __init__(self, names: Names) -> None:
        self._names = names

    def __call__(self, value: Any, key: str = "") -> Any:
        """Return ``value``, which stands under ``key``, as a JSON value."""
        if key in {"experiment_id", "experiment_ids"}:
            return self._names.experiment(value)
        if key == "_mlflow_experiment_ids":
            return self._names.experiment([one for one in str(value).split(",") if one])
        if isinstance(value, bool) or value is None:
            return value
        if key == "workspace" and value == "default":
            # What a server without workspaces leaves out.
            return None
        if isinstance(value, Enum):
            return str(value.value)
        if isinstance(value, str):
            return self._names.place(value)
        if isinstance(value, int):
            return value
        if isinstance(value, float):
            return value if math.isfinite(value) else repr(value)
        if isinstance(value, bytes):
            return value.hex()
        if isinstance(value, Mapping):
            return {str(name): self(one, str(name)) for name, one in value.items()}
        if isinstance(value, (Sequence, set, frozenset)):
            rows = [self(one) for one in value]
            return sorted(rows, key=repr) if isinstance(value, (set, frozenset)) else rows
        return self(fields(value), key)


def fields(entity: Any) -> dict[str, Any]:
    """Return every public field of an MLflow entity."""
    as_dictionary: Callable[[], dict[str, Any]] | None = getattr(entity, "model_dump", None)
    if as_dictionary is not None:
        return as_dictionary()
    if dataclasses.is_dataclass(entity):
        return {field.name: getattr(entity, field.name) for field in dataclasses.fields(entity)}
    found = dict(entity) if hasattr(entity, "__iter__") else {}
    # Properties that subclasses of entities inherit are not in the iteration.
    for base in type(entity).__mro__:
        for name, member in vars(base).items():
            if isinstance(member, property) and not name.startswith("_"):
                found.setdefault(name, getattr(entity, name))
    if not found:
        raise TypeError(f"no way to read the fields of {type(entity)}")
    return found
