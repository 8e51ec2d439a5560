"""One object from server to server, as a stream: a run, an experiment, a registered model, a version of one.

The two servers may want different credentials. Each end takes its own from ``source_settings`` or
``target_settings``, or from variables of the process (``MLFLOW_ARCHIVE_SOURCE_TRACKING_TOKEN``, ...); without any, from
MLflow's (``MLFLOW_TRACKING_TOKEN``, ...). See `mlflow_archive.tracking.settings`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypedDict

from mlflow_archive.api.checked import at_least_one

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from mlflow_archive.api.moving import IfExists
    from mlflow_archive.events import Observer
    from mlflow_archive.operations.copying import Ends, Planner
    from mlflow_archive.operations.policies import Policies, SourceTags
    from mlflow_archive.operations.report import Report
    from mlflow_archive.tracking.settings import Settings


class Between(TypedDict, total=False):
    """How one object is copied from server to server.

    Attributes:
        source_settings: Credentials and certificates of the source, by MLflow's names
            (``{"MLFLOW_TRACKING_TOKEN": ...}``), or the path of a file with lines of them. The source then takes none
            from MLflow's variables.
        target_settings: The same of the target.
        if_exists: What to do with an object that an earlier copy made at the target: ``skip``, ``update``, ``fail`` or
            ``duplicate``.
        parallelism: How many objects are under way at once.
        dry_run: Say what would be done and change nothing.
        source_artifact_roots: Artifact URI prefix of the source -> where its files really are.
        target_artifact_roots: The same of the target.
        source_artifact_options: Passed to the storage backend of the source's files.
        target_artifact_options: The same of the target's.
        observer: Told of everything that happens.
    """

    source_settings: Settings | None
    target_settings: Settings | None
    if_exists: IfExists
    parallelism: int
    dry_run: bool
    source_artifact_roots: Mapping[str, str] | None
    target_artifact_roots: Mapping[str, str] | None
    source_artifact_options: Mapping[str, object] | None
    target_artifact_options: Mapping[str, object] | None
    observer: Observer | None


def copy_run(
    run_id: str,
    source_uri: str | None = None,
    target_uri: str | None = None,
    *,
    experiment_name: str,
    with_children: bool = False,
    **between: Unpack[Between],
) -> Report:
    """Copy a run, with its files and the logged models it made or used, into an experiment.

    Args:
        run_id: The run.
        source_uri: The server that has it; None is MLflow's own default.
        target_uri: The server it goes to; may be the same.
        experiment_name: The experiment of the target; made if it is not there.
        with_children: Take the runs nested below it along, at any depth.
        **between: How; see `Between`.

    Returns:
        What was done; ``ids["run"]`` has the new run's id.

    Raises:
        NotFoundError: There is no such run.
        NotAuthorisedError: A server or a store refused the credentials.
        ConflictError: It was copied already, and ``if_exists`` is ``fail``.
        UnavailableError: A server or a store does not answer.
    """
    from mlflow_archive.operations.cloning import run_plan
    from mlflow_archive.operations.policies import make_choices

    choices = make_choices({"into_experiment": experiment_name}, if_exists=between.get("if_exists", "skip"))
    return _copied(source_uri, target_uri, run_plan(run_id, choices, with_children=with_children), between)


def copy_experiment(
    experiment: str,
    source_uri: str | None = None,
    target_uri: str | None = None,
    *,
    new_name: str | None = None,
    **between: Unpack[Between],
) -> Report:
    """Copy an experiment with everything below it: runs, logged models, traces, files.

    Args:
        experiment: Its name, else its id.
        source_uri: The server that has it; None is MLflow's own default.
        target_uri: The server it goes to; may be the same, with a new name.
        new_name: Its name at the target; None is the name it has.
        **between: How; see `Between`.

    Returns:
        What was done; ``ids`` has the new ids.

    Raises:
        NotFoundError: There is no such experiment.
        UsageError: It would be copied into itself.
        NotAuthorisedError: A server or a store refused the credentials.
        ConflictError: It is there already, and ``if_exists`` is ``fail``.
        UnavailableError: A server or a store does not answer.
    """
    from mlflow_archive.operations.cloning import experiment_plan
    from mlflow_archive.operations.policies import make_choices

    choices = make_choices({}, if_exists=between.get("if_exists", "skip"))
    return _copied(source_uri, target_uri, experiment_plan(experiment, choices, new_name=new_name), between)


def copy_model(
    model: str,
    source_uri: str | None = None,
    target_uri: str | None = None,
    *,
    new_name: str | None = None,
    experiment_name: str | None = None,
    versions: Sequence[int] = (),
    stages: Sequence[str] = (),
    latest_versions: bool = False,
    **between: Unpack[Between],
) -> Report:
    """Copy a registered model with its versions, their numbers, and the runs and logged models these were made from.

    Args:
        model: Its name.
        source_uri: The server that has it; None is MLflow's own default.
        target_uri: The server it goes to; may be the same, with a new name.
        new_name: Its name at the target; None is the name it has.
        experiment_name: The experiment of the target that runs and logged models go into; None is one for each of
            theirs, by its name.
        versions: Only these versions.
        stages: Only versions in these stages.
        latest_versions: Only the newest version of each stage.
        **between: How; see `Between`.

    Returns:
        What was done; ``ids`` has the new ids.

    Raises:
        NotFoundError: There is no such registered model.
        UsageError: It would be copied into itself.
        NotAuthorisedError: A server or a store refused the credentials.
        ConflictError: It is there already, and ``if_exists`` is ``fail``.
        UnavailableError: A server or a store does not answer.
    """
    from mlflow_archive.operations.cloning import model_plan
    from mlflow_archive.operations.policies import make_choices

    policies: Policies = {"into_experiment": experiment_name}
    choices = make_choices(policies, if_exists=between.get("if_exists", "skip"))
    planner = model_plan(
        model, choices, new_name=new_name, versions=versions, stages=stages, latest_versions=latest_versions
    )
    return _copied(source_uri, target_uri, planner, between)


def copy_model_version(  # noqa: PLR0913 - the choices of a copy
    model: str,
    version: int,
    source_uri: str | None = None,
    target_uri: str | None = None,
    *,
    new_name: str | None = None,
    experiment_name: str | None = None,
    stages_and_aliases: bool = False,
    lineage_tags: SourceTags | None = None,
    permissions: bool = False,
    **between: Unpack[Between],
) -> Report:
    """Copy one version of a registered model, as the next version of a model of the target.

    With an experiment the copy is deep: the version's run and logged model are copied into it, with their files.
    Without, it is shallow: the new version names the files of its original, which the target has to reach.

    Args:
        model: The registered model.
        version: The version's number.
        source_uri: The server that has it; None is MLflow's own default.
        target_uri: The server it goes to; may be the same.
        new_name: The registered model of the target; None is the same name. It is made if it is not there.
        experiment_name: The experiment of the target for the run and the logged model; made if it is not there.
        stages_and_aliases: Give the new version the stage and the aliases of its original; an alias moves to it from
            the version of the target that has it.
        lineage_tags: Write the original's name, number, run and server into tags of the new version, under the prefix
            of this word: ``mlflow_archive``, ``mlflow_exim`` or ``mlflow_export_import``.
        permissions: Between Databricks workspaces: set the model's direct permissions.
        **between: How; see `Between`.

    Returns:
        What was done; ``ids["model_version"]`` has ``"<new name>/<new number>"``.

    Raises:
        NotFoundError: There is no such version.
        UsageError: Only the source reaches the files, and there is no experiment to copy them into.
        NotAuthorisedError: A server or a store refused the credentials.
        ConflictError: It was copied already, and ``if_exists`` is ``fail``.
        UnavailableError: A server or a store does not answer.
    """
    from mlflow_archive.operations.policies import make_choices
    from mlflow_archive.operations.promoting import version_plan

    policies: Policies = {
        "into_experiment": experiment_name,
        "stages_and_aliases": stages_and_aliases,
        "source_tags": lineage_tags,
    }
    choices = make_choices(
        policies,
        if_exists=between.get("if_exists", "skip"),
        dry_run=between.get("dry_run", False),
        permissions=permissions,
    )
    planner = version_plan(model, version, choices, into_model=new_name)
    return _copied(source_uri, target_uri, planner, between, permissions=permissions)


def _copied(
    source_uri: str | None,
    target_uri: str | None,
    planner: Planner,
    between: Between,
    *,
    permissions: bool = False,
) -> Report:
    from mlflow_archive.operations.copying import copy_planned
    from mlflow_archive.operations.ends import WorkspaceWishes

    return copy_planned(
        _ends(source_uri, target_uri, between),
        planner,
        dry_run=between.get("dry_run", False),
        parallelism=at_least_one(between.get("parallelism", 8)),
        beyond=WorkspaceWishes(permissions=permissions),
        observer=between.get("observer"),
    )


def _ends(source_uri: str | None, target_uri: str | None, between: Between) -> Ends:
    from mlflow_archive.operations.copying import Ends
    from mlflow_archive.operations.ends import ArtifactPlaces

    return Ends(
        source_uri,
        target_uri,
        between.get("source_settings"),
        between.get("target_settings"),
        ArtifactPlaces(between.get("source_artifact_roots"), between.get("source_artifact_options")),
        ArtifactPlaces(between.get("target_artifact_roots"), between.get("target_artifact_options")),
    )
