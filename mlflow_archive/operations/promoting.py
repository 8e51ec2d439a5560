"""Copy one version of a registered model, as the next version of a model of the target.

Deep, its run and its logged model are copied with it, into an experiment of the target. Shallow, nothing but the
version is made, which names the files of its original: then the target has to reach them where they are
(`mlflow_archive.tracking.version_places`).

A version that was copied bears a tag with its original's name and number, by which a second copy finds it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING
from urllib.parse import quote

from mlflow_archive.errors import ConflictError, MlflowArchiveError, NotFoundError
from mlflow_archive.operations.copying import Plan
from mlflow_archive.operations.ends import ServerChoices
from mlflow_archive.operations.selecting import make_selection
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.patterns import exactly
from mlflow_archive.spec.renaming import Renaming

if TYPE_CHECKING:
    from mlflow_archive.operations.copying import Planner
    from mlflow_archive.operations.report import Report
    from mlflow_archive.tracking.client import ServerClient

#: The kind of a version in `Report.ids`, where ``name/number`` stands for one.
MODEL_VERSION = "model_version"

_REST = "/api/2.0/mlflow/"
#: Tags of a run that tell where and by whom it was made.
_OF_RUN = (
    "mlflow.databricks.workspaceURL",
    "mlflow.databricks.webappURL",
    "mlflow.databricks.workspaceID",
    "mlflow.user",
)


def version_plan(model: str, version: int, choices: ServerChoices, *, into_model: str | None) -> Planner:
    """Return the planner for one version.

    Args:
        model: The registered model at the source.
        version: The number of its version.
        choices: How it is brought to the target. With ``into_experiment`` the copy is deep, without it shallow.
            ``source_tags`` begins tags of the new version that tell of its original; nothing else gets source tags.
        into_model: The model of the target that gets a version, made if it is not there; None is the same name.
    """
    wanted = into_model or model

    def plan(here: ServerClient, there: ServerClient) -> Plan:
        found = _version(here, model, version)
        run = _run(here, found)
        bring = replace(
            choices,
            rename_models=Renaming({model: wanted}),
            append_versions=True,
            source_tags=None,
            version_tags=_lineage(choices.source_tags, found, run, here, there) if choices.source_tags else {},
        )
        if choices.into_experiment is not None:
            selection = make_selection(models=[exactly(model)], versions=[version])
        else:
            from mlflow_archive.tracking.version_places import as_it_stands

            bring = replace(bring, version_places={version: as_it_stands(here, there, found, run)})
            selection = make_selection(
                models=[exactly(model)], versions=[version], only=["registered_model"], without=["artifacts"]
            )
        if not choices.dry_run:
            _require_model(there, wanted)

        def look_back(report: Report) -> Report:
            numbered = _with_number(report, here, there, model, version, wanted)
            if choices.stages_and_aliases and not report.dry_run and report.counts[Kind.REGISTERED_MODEL.value].stored:
                _move_aliases(there, found, numbered.ids[MODEL_VERSION][f"{model}/{version}"])
            return numbered

        return Plan(selection, bring, look_back)

    return plan


def _move_aliases(there: ServerClient, version: JSONObject, made: str) -> None:
    """Give a new version the aliases of its original, also those that another version of the target has."""
    name, _, number = made.rpartition("/")
    aliases = version.get("aliases")
    for alias in aliases if isinstance(aliases, list) else []:
        body: JSONObject = {"name": name, "alias": alias, "version": number}
        there.call("POST", f"{_REST}registered-models/alias", body=body)


def _version(here: ServerClient, model: str, version: int) -> JSONObject:
    from mlflow_archive.tracking.paging import member

    params = {"name": model, "version": str(version)}
    return member(here.call("GET", f"{_REST}model-versions/get", params=params), "model_version")


def _run(here: ServerClient, version: JSONObject) -> JSONObject:
    """Return the run of a version; empty if it has none, or none any more."""
    from mlflow_archive.tracking.paging import member, text

    run_id = text(version.get("run_id"))
    if not run_id:
        return {}
    try:
        return member(here.call("GET", f"{_REST}runs/get", params={"run_id": run_id}), "run")
    except NotFoundError:
        return {}


def _lineage(
    prefix: str, version: JSONObject, run: JSONObject, here: ServerClient, there: ServerClient
) -> dict[str, str]:
    """Return the tags that tell where a version comes from."""
    from mlflow_archive.tracking.paging import mapping, member, text

    tags = {f"src_version.{field}": text(version.get(field)) for field in ("name", "version", "run_id")}
    tags |= {"src_client.tracking_uri": here.uri, "dst_client.tracking_uri": there.uri}
    of_run = mapping(member(run, "data").get("tags"))
    tags |= {f"src_run.{name}": of_run[name] for name in _OF_RUN if name in of_run}
    return {prefix + name: value for name, value in tags.items() if value}


def _require_model(there: ServerClient, name: str) -> None:
    """Make the registered model of the target, bare, if it is not there.

    Its versions then count from 1: they are the target's own, whatever numbers their originals have.
    """
    try:
        there.call("GET", f"{_REST}registered-models/get", params={"name": name})
    except NotFoundError:
        try:
            there.call("POST", f"{_REST}registered-models/create", body={"name": name}, repeatable=False)
        except ConflictError:
            return  # somebody was quicker


def _with_number(
    report: Report, here: ServerClient, there: ServerClient, model: str, version: int, wanted: str
) -> Report:
    """Return the report with the number of the new version.

    Raises:
        MlflowArchiveError: There is no new version.
    """
    if report.dry_run:
        return report
    from mlflow_archive.tracking.paging import mapping, objects, pages, text

    quoted = f'"{wanted}"' if "'" in wanted else f"'{wanted}'"
    request: JSONObject = {"filter": f"name = {quoted}", "max_results": 1000}
    original = f"{quote(model, safe='')}/{version}"
    made = [
        int(text(row.get("version")))
        for page in pages(there, "GET", f"{_REST}model-versions/search", request)
        for row in objects(page.get("model_versions"))
        if row.get("name") == wanted
        and mapping(row.get("tags")).get(provenance.SOURCE_ID) == original
        and mapping(row.get("tags")).get(provenance.SOURCE_URI, here.uri) == here.uri
    ]
    if not made:
        reasons = [loss.reason for loss in report.losses if loss.kind is Kind.REGISTERED_MODEL]
        raise MlflowArchiveError(
            f"Version {version} of {model!r} was not copied: {(reasons or ['nobody says why.'])[0]}", code="not_copied"
        )
    ids = {**report.ids, MODEL_VERSION: {f"{model}/{version}": f"{wanted}/{max(made)}"}}
    return replace(report, ids=ids)
