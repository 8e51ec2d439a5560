"""Were the names that somebody asked for there?"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace

from mlflow_archive.spec.kinds import KIND_ORDER, Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.patterns import plain_name
from mlflow_archive.spec.selection import Selection
from mlflow_archive.spec.wanted import WITH_LIFE_CYCLE
from mlflow_archive.stream import NOT_FOUND, ObjectKey

_WORDS = {
    Kind.EXPERIMENT: "experiment named",
    Kind.RUN: "run with the id",
    Kind.LOGGED_MODEL: "logged model with the id",
    Kind.REGISTERED_MODEL: "registered model named",
    Kind.PROMPT: "prompt named",
    Kind.TRACE: "trace with the id",
    Kind.EVALUATION_DATASET: "evaluation dataset named",
}


class WishCheck:
    """Crosses out the names and ids of a selection as their objects come by. Globs may match nothing; names may not."""

    def __init__(self, selection: Selection) -> None:
        """Take the names of the kinds that the selection wants; the others will not come by."""
        names: dict[Kind, Collection[str]] = {
            Kind.EXPERIMENT: selection.experiments,
            Kind.REGISTERED_MODEL: selection.models or (),
            Kind.PROMPT: selection.prompts or (),
            Kind.EVALUATION_DATASET: selection.datasets or (),
        }
        asked = {kind: [plain_name(pattern) for pattern in patterns] for kind, patterns in names.items()}
        asked[Kind.RUN] = [*sorted(selection.run_ids or ())]
        asked[Kind.LOGGED_MODEL] = [*sorted(selection.logged_model_ids or ())]
        asked[Kind.TRACE] = [*sorted(selection.trace_ids or ())]
        self._open: dict[Kind, dict[str, None]] = {
            kind: dict.fromkeys(name for name in asked[kind] if name is not None)
            for kind in KIND_ORDER
            if kind in asked and selection.wants(kind)
        }
        self._but_deleted = "" if selection.deleted else " that is not deleted"
        self.narrow = replace(selection, artifacts=True, version_files=False) != Selection()
        """True if the selection asks for less than everything."""

    def saw(self, key: ObjectKey) -> None:
        """Cross out the names of an object that came by."""
        names = self._open.get(key.kind)
        if names:
            names.pop(key.name, None)
            names.pop(key.id, None)

    def missing(self, told: Iterable[Loss]) -> tuple[Loss, ...]:
        """Return a loss for each name that no object had, and of which no loss tells already."""
        return tuple(
            Loss(kind=kind, id=name, code=NOT_FOUND, reason=self._sentence(kind, name))
            for kind, name in self._untold(told)
        )

    def nothing(self, told: Collection[Loss]) -> str:
        """Return the sentence for a selection that matched nothing at all, with what was told of it before."""
        names = [
            f"{kind.value.replace('_', ' ')} {name!r}{self._but_deleted if kind in WITH_LIFE_CYCLE else ''}"
            for kind, name in self._untold(told)
        ]
        asked = f" (no {', no '.join(names)})" if names else ""
        reasons = "".join(f" {loss.reason}" for loss in told)
        return f"Nothing at the source matches what was asked for{asked}; ls shows what is there.{reasons}"

    def _untold(self, told: Iterable[Loss]) -> list[tuple[Kind, str]]:
        known = {(loss.kind, loss.id) for loss in told}
        return [(kind, name) for kind, names in self._open.items() for name in names if (kind, name) not in known]

    def _sentence(self, kind: Kind, name: str) -> str:
        case = "" if kind in (Kind.RUN, Kind.TRACE, Kind.LOGGED_MODEL) else "; the names are case-sensitive"
        deleted = self._but_deleted if kind in WITH_LIFE_CYCLE else ""
        return f"The source has no {_WORDS[kind]} {name!r}{deleted}{case}."
