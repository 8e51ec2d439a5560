"""MLflow's migration of file stores, mended; for the child process alone, whose MLflow nobody else uses.

As it is (3.10 to 3.17) one line in one file ends all of it: a point of a metric that was logged twice, a value that is
not UTF-8, two experiments of one name. And it sets the times of assessments to 0 and empties expectations that are
not plain. Here every file is read on its own, runs, experiments and models are brought in one by one, and what fails
is told.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import yaml  # type: ignore[import-untyped]
from sqlalchemy.exc import SQLAlchemyError

from mlflow_archive.tracking.filestore.folder import META, NO_RUNS, TRASH, Trouble

_LARGEST = 1.7976931348623157e308
_ROWS = 10_000
_INSERT = "INSERT INTO {} (run_uuid, key, timestamp, step, value, is_nan) VALUES (?, ?, ?, ?, ?, ?)"
#: What one document of a file store can bring MLflow's code to raise.
_WRONG = (ArithmeticError, AttributeError, LookupError, OSError, SQLAlchemyError, TypeError, ValueError)
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class Mended:
    """Replaces functions of MLflow's modules, and keeps what they cannot read.

    Attributes:
        troubles: Path -> why it cannot be read.
        infinite: How many points of metrics are infinite.
    """

    def __init__(self, root: Path) -> None:
        """Read below ``root``."""
        self._root = root
        self._told: dict[str, str] = {}
        self.infinite = 0

    @property
    def troubles(self) -> list[Trouble]:
        """What was told, each path once."""
        return [Trouble(path, reason) for path, reason in self._told.items()]

    def tell(self, path: Path, reason: str) -> None:
        """Remember that something cannot be read; the first reason counts."""
        self._told.setdefault(path.relative_to(self._root).as_posix(), reason)

    def knows(self, *paths: Path) -> bool:
        """Tell whether there is trouble with one of these paths."""
        return any(path.relative_to(self._root).as_posix() in self._told for path in paths)

    def install(self) -> None:
        """Replace the functions; their names are those of MLflow 3.10 and later."""
        from mlflow.store.fs2db import _registry, _tracking

        for module in (_registry, _tracking):
            _replace(module, "safe_read_yaml", self._document)
            _replace(module, "read_tag_files", self._texts)
        _replace(_tracking, "read_metric_lines", self._model_metrics)
        _replace(_tracking, "_migrate_run_metrics", self._run_metrics)
        _replace(_tracking, "_migrate_one_assessment", self._assessment)
        for module, name in (
            (_tracking, "_migrate_one_experiment"),
            (_tracking, "_migrate_one_run"),
            (_tracking, "_migrate_datasets_for_experiment"),
            (_tracking, "_migrate_outputs_for_experiment"),
            (_tracking, "_migrate_traces_for_experiment"),
            (_tracking, "_migrate_assessments_for_experiment"),
            (_tracking, "_migrate_logged_models_for_experiment"),
            (_registry, "_migrate_one_registered_model"),
            (_registry, "_migrate_model_version"),
        ):
            _replace(module, name, self._alone(getattr(module, name)))

    def _alone(self, migrate: Callable[..., None]) -> Callable[..., None]:
        """Return a function that undoes what it did if it fails; its second argument is the folder it reads."""

        def guarded(session: Any, folder: Path, *others: Any, **named: Any) -> None:
            if self._is_homeless(folder):
                return  # and may have the id of something that is not
            try:
                with session.begin_nested():
                    migrate(session, folder, *others, **named)
                    session.flush()
            except _WRONG as error:
                session.expunge_all()
                self.tell(folder, f"MLflow's migration of file stores cannot take it: {_first_line(error)}.")

        return guarded

    def _is_homeless(self, folder: Path) -> bool:
        """Tell whether a folder is, or is below, that of an experiment or a model that could not be read."""
        parts = folder.relative_to(self._root).parts
        home = self._root.joinpath(*parts[: 2 if parts[0] in (TRASH, "models") else 1])
        return self.knows(home, home / META)

    def _document(self, folder: Path, name: str) -> dict[str, Any] | None:
        path = folder / name
        try:
            found = yaml.load(path.read_bytes(), Loader=_LOADER)  # noqa: S506 - safe, of the C library where it is there
        except (OSError, ValueError, yaml.YAMLError) as error:
            self.tell(path, f"{name} cannot be read: {_first_line(error)}.")
            return None
        if not isinstance(found, dict):
            self.tell(path, f"{name} is empty." if found is None else f"{name} is no document of MLflow's.")
            return None
        other = self._other_id(folder, found)
        if other is not None:
            self.tell(path, f"It is a copy of {other}, which a store can have only once.")
            return None
        return found

    def _other_id(self, folder: Path, document: dict[str, Any]) -> str | None:
        """Return the id in the document of a run or an experiment if its folder has another name, as MLflow looks."""
        above = [*folder.relative_to(self._root).parts]
        if above[0] == TRASH:
            above = above[1:]
        if above[0] == "models" or len(above) > 2 or (len(above) == 2 and above[1] in NO_RUNS):
            return None
        words = ("experiment_id",) if len(above) == 1 else ("run_uuid", "run_id")
        for word in words:
            if word in document and not isinstance(document[word], str):
                document[word] = folder.name  # digits alone, that whoever wrote them did not quote; or nothing
        id = next((document[word] for word in words if document.get(word)), folder.name)
        return None if id == folder.name else id

    def _texts(self, folder: Path) -> dict[str, str]:
        result = {}
        for path in _files(folder):
            text = self._text(path)
            if text is not None:
                result[path.relative_to(folder).as_posix()] = text
        return result

    def _text(self, path: Path) -> str | None:
        try:
            return path.read_bytes().decode("utf-8")
        except (OSError, UnicodeDecodeError) as error:
            self.tell(path, f"The file cannot be read: {_first_line(error)}.")
            return None

    def _lines(self, path: Path, parse: Callable[[list[str]], Any]) -> Iterator[tuple[str, Any]]:
        """Yield the lines of a metric that are well-formed, with what they say."""
        wrong = 0
        for line in (self._text(path) or "").splitlines():
            try:
                yield line, parse(line.strip().split(" "))
            except ValueError:  # noqa: PERF203 - one line must not cost the others
                wrong += 1
        if wrong:
            self.tell(path, f"{wrong} of the metric's lines are no points.")

    def _run_metrics(self, session: Any, folder: Path, run_id: str, stats: Any, **_: Any) -> None:
        """Bring the metrics of a run; a point that was logged twice is one row, as in every database of MLflow."""
        session.flush()  # what was added before is the run itself
        connection = session.connection()
        waiting: list[tuple[Any, ...]] = []
        latest = []
        for path in _files(folder):
            key = path.relative_to(folder).as_posix()
            points = [*dict.fromkeys(point for _, point in self._lines(path, _run_point))]
            if not points:
                continue
            waiting += [(run_id, key, *point) for point in points]
            stats.metrics += len(points)
            self.infinite += sum(abs(value) == _LARGEST for _, _, value, _ in points)
            latest.append((run_id, key, *max(points, key=_order)))
            if len(waiting) >= _ROWS:
                connection.exec_driver_sql(_INSERT.format("metrics"), waiting)
                waiting = []
        # Past SQLAlchemy's own ways, of which most of the time would be.
        if waiting:
            connection.exec_driver_sql(_INSERT.format("metrics"), waiting)
        if latest:
            connection.exec_driver_sql(_INSERT.format("latest_metrics"), latest)
        stats.latest_metrics += len(latest)

    def _model_metrics(self, folder: Path) -> dict[str, list[str]]:
        """Return the lines of a logged model's metrics; of one run, step and time a database has one value."""
        result = {}
        for path in _files(folder):
            kept: dict[tuple[str, str, str], str] = {}
            values: dict[tuple[str, str, str], str] = {}
            for line, (at, value, step, run_id) in self._lines(path, _model_point):
                if values.setdefault((at, step, run_id), value) != value:
                    self.tell(path, "It has several values for one time, step and run; the last is kept.")
                kept[at, step, run_id] = line
            result[path.relative_to(folder).as_posix()] = [*kept.values()]
        return result

    def _assessment(self, session: Any, meta: dict[str, Any], trace_id: str, assessment_id: str, *others: Any) -> None:
        """Bring an assessment as MLflow's file store reads it; the migration's own way loses its times."""
        from mlflow.entities import Assessment
        from mlflow.exceptions import MlflowException
        from mlflow.store.tracking.dbmodels.models import SqlAssessments

        stats = others[-1]
        try:
            found = Assessment.from_dictionary({"assessment_id": assessment_id, "trace_id": trace_id, **meta})
            row = SqlAssessments.from_mlflow_entity(found)
        except (MlflowException, *_WRONG) as error:
            self._tell_assessment(trace_id, assessment_id, error)
            return
        row.valid = meta.get("valid", True)
        if hasattr(SqlAssessments, "experiment_id") and len(others) > 2:
            row.experiment_id, row.trace_timestamp_ms = others[0], others[1]
        session.add(row)
        stats.assessments += 1

    def _tell_assessment(self, trace_id: str, assessment_id: str, error: Exception) -> None:
        places = self._root.glob(f"*/traces/{trace_id}/assessments/{assessment_id}.yaml")
        deleted = self._root.glob(f".trash/*/traces/{trace_id}/assessments/{assessment_id}.yaml")
        for place in (*places, *deleted):
            self.tell(place, f"MLflow does not understand it: {_first_line(error)}.")


def _replace(module: ModuleType, name: str, function: Callable[..., Any]) -> None:
    if not hasattr(module, name):
        raise AttributeError(f"MLflow's migration of file stores has no {name} any more")
    setattr(module, name, function)


def _files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def _run_point(words: list[str]) -> tuple[int, int, float, bool]:
    """Return time, step, value and whether it is none, as MLflow's tables have them."""
    if len(words) not in (2, 3, 5):
        raise ValueError(words)
    value = float(words[1])
    nan = math.isnan(value)
    number = 0.0 if nan else max(-_LARGEST, min(_LARGEST, value))
    return _int64(words[0]), _int64(words[2]) if len(words) == 3 else 0, number, nan


def _order(point: tuple[int, int, float, bool]) -> tuple[int, int, float]:
    at, step, value, _ = point
    return step, at, value


def _model_point(words: list[str]) -> tuple[str, str, str, str]:
    if len(words) not in (4, 6):
        raise ValueError(words)
    _int64(words[0]), float(words[1]), _int64(words[2])
    return words[0], words[1], words[2], words[3]


def _int64(word: str) -> int:
    number = int(word)
    if not -(2**63) <= number < 2**63:
        raise ValueError(word)
    return number


def _first_line(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return error.strerror  # without the path, which is ours
    said = str(getattr(error, "orig", error)).strip() or type(error).__name__
    return said.splitlines()[0][:300].rstrip(".")
