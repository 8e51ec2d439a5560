"""The child process: MLflow's migration of one file store into one new SQLite file.

Its order names the folder and the file; its answer comes when the file is complete, with how many points of
metrics are infinite; what could not be read is in a file of its own (`folder.write_troubles`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mlflow_archive.errors import MlflowArchiveError, UnsupportedError
from mlflow_archive.tracking.child import heard, refusal
from mlflow_archive.tracking.filestore import folder


def main() -> None:
    """Migrate and answer."""
    order, reply = heard()
    try:
        answer = _migrate(Path(order["root"]), Path(order["database"]), Path(order["troubles"]))
    except MlflowArchiveError as error:
        reply(refusal(error))
        return
    reply(answer)


def _migrate(root: Path, database: Path, troubles: Path) -> dict[str, object]:
    migrate = _mlflows_own()
    from mlflow_archive.tracking.filestore.mending import Mended

    # MLflow looks for a folder of this name; a link makes sure that it is this one and no other below it.
    above = database.parent / "source"
    above.mkdir()
    link = above / "mlruns"
    link.symlink_to(root, target_is_directory=True)
    mended = Mended(link)
    mended.install()
    _use_more_memory()
    migrate(above, f"sqlite:///{database}", progress=False)
    _tell_missing(database, link, mended)
    folder.write_troubles(mended.troubles, troubles)
    return {"infinite": mended.infinite}


def _use_more_memory() -> None:
    """Let SQLite keep 64 MiB of what is one transaction; 2 MiB are written and read again for every run."""
    import sqlalchemy as sa

    def prepare(connection: Any, _record: object) -> None:
        connection.execute("PRAGMA cache_size = -65536")

    sa.event.listen(sa.Engine, "connect", prepare)


def _mlflows_own() -> Any:
    try:
        from mlflow.store.fs2db import migrate
    except ModuleNotFoundError:
        from mlflow.version import VERSION

        raise UnsupportedError(
            f"File stores are read with MLflow 3.10 or later, and MLflow {VERSION} is installed: pip install "
            "'mlflow>=3.10', or start `mlflow server` on the folder and give its http address.",
            code="file_store",
        ) from None
    return migrate


def _tell_missing(database: Path, root: Path, mended: Any) -> None:
    """Compare what is in the folder with what came out; MLflow leaves much out without a word."""
    import sqlalchemy as sa

    engine = sa.create_engine(f"sqlite:///{database}")
    with engine.connect() as connection:

        def known(columns: str, table: str) -> set[tuple[str, ...]]:
            rows = connection.exec_driver_sql(f"SELECT {columns} FROM {table}")  # noqa: S608 - our own words
            return {tuple(map(str, row)) for row in rows}

        ids = known("experiment_id", "experiments")
        sets = {
            "runs": known("experiment_id, run_uuid", "runs"),
            "traces": known("experiment_id, request_id", "trace_info"),
            "models": known("experiment_id, model_id", "logged_models"),
        }
        models = known("name", "registered_models")
        versions = known("name, version", "model_versions")
    engine.dispose()
    for experiment in folder.experiments(root):
        _tell_missing_in(experiment, (experiment.name.lstrip("0") or "0",) in ids, sets, mended)
    for model in folder.below(root, "models"):
        _require(mended, model, (model.name,) in models)
        for version in folder.below(model, "."):
            number = version.name.removeprefix("version-")
            if number != version.name and (model.name,) in models:
                _require(mended, version, (model.name, number) in versions)


def _tell_missing_in(experiment: Path, is_there: bool, sets: dict[str, set[tuple[str, ...]]], mended: Any) -> None:
    number = experiment.name.isascii() and experiment.name.isdigit()
    _require(mended, experiment, is_there, None if number else "Its id is not a number, as databases have them.")
    id = experiment.name.lstrip("0") or "0"
    above = None if is_there else "Its experiment cannot be read."
    for path in folder.runs(experiment):
        _require(mended, path, is_there and (id, path.name) in sets["runs"], above)
    for word, meta in (("traces", folder.TRACE_META), ("models", folder.META)):
        for path in folder.below(experiment, word):
            _require(mended, path, is_there and (id, path.name) in sets[word], above, meta=meta)


def _require(mended: Any, path: Path, is_there: bool, reason: str | None = None, *, meta: str = folder.META) -> None:
    if is_there or mended.knows(path, path / meta):
        return
    absent = f"There is no {meta} in its folder."
    mended.tell(path, reason or (absent if not (path / meta).is_file() else "MLflow's migration leaves it out."))


if __name__ == "__main__":
    main()
