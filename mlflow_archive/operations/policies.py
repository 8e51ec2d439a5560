"""From what a person asks of a restore or a copy to `ServerChoices`: words, names and renamings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, TypedDict, cast

from mlflow_archive.errors import UsageError
from mlflow_archive.operations.ends import REPLACEABLE, ServerChoices
from mlflow_archive.operations.selecting import Wishes, parse_kind
from mlflow_archive.spec.kinds import FOLDERS, Kind
from mlflow_archive.spec.provenance import SOURCE_TAG_PREFIXES
from mlflow_archive.spec.renaming import Renaming

IfExists = Literal["skip", "update", "fail", "duplicate"]
SourceTags = Literal["mlflow_archive", "mlflow_exim", "mlflow_export_import"]


class Policies(TypedDict, total=False):
    """How objects are brought to a server, beyond what every restore is asked.

    Attributes:
        into_experiment: Everything of every source experiment goes into this one of the target, which is made if it
            is not there. What it has stays; its tags are changed only with ``if_exists="update"``.
        experiment_prefix: Put before the name of every experiment, after renaming.
        experiment_tags: False leaves the tags of experiments out.
        model_name: The name at the target of the one registered model that is wanted.
        prompt_name: The same for the one prompt.
        dataset_name: The same for the one evaluation dataset.
        replace: Kind words (``models``, ``prompts``, ``evaluation_datasets``): the target's object of that name is
            deleted, once, before ours is made. It stays if ours cannot be read.
        create_models: False refuses registered models that the target does not have.
        append_versions: Versions of a registered model that the target has get its next numbers, instead of keeping
            their own. A second time they are found by their provenance tag.
        stages_and_aliases: False leaves the stages and aliases of model versions out.
        registry_metadata: False leaves the descriptions and tags of registered models out; those of versions come.
        source_tags: Write what experiments, runs, registered models and versions were at their source into tags:
            ``mlflow_archive.source.*``, or in the layout of one of the prefixes of mlflow-export-import. An object
            that has such tags already keeps them: they tell its origin.
        keep_user: True keeps the source's user as the user of a run; False makes it who restores.
        edit_mlmodels: False leaves MLmodel files as they are; otherwise ids in them become those at the target.
        await_versions_s: How many seconds each new model version gets to become ready; one that is not is a loss.
            0 does not ask, as versions of an open-source server are ready at once.
    """

    into_experiment: str | None
    experiment_prefix: str
    experiment_tags: bool
    model_name: str | None
    prompt_name: str | None
    dataset_name: str | None
    replace: Sequence[str]
    create_models: bool
    append_versions: bool
    stages_and_aliases: bool
    registry_metadata: bool
    source_tags: SourceTags | None
    keep_user: bool
    edit_mlmodels: bool
    await_versions_s: int


class Bringing(Wishes, Policies, total=False):
    """What of a source is wanted, and how it is brought to a server."""


def split(asked: Bringing) -> tuple[Wishes, Policies]:
    """Return what is wanted and how it is brought, each by itself."""
    policies = {name: value for name, value in asked.items() if name in Policies.__annotations__}
    wishes = {name: value for name, value in asked.items() if name not in policies}
    return cast("Wishes", wishes), cast("Policies", policies)


def make_choices(
    policies: Policies,
    *,
    if_exists: IfExists = "skip",
    rename_experiments: Mapping[str, str] | Renaming | None = None,
    rename_models: Mapping[str, str] | Renaming | None = None,
    activate: bool = False,
    dry_run: bool = False,
    notebook_folder: str | None = None,
    permissions: bool = False,
) -> ServerChoices:
    """Return the choices for a person's wishes; see `Policies` and `mlflow_archive.api.restore` for the arguments.

    Raises:
        UsageError: An unknown word, an empty name, or two wishes that contradict each other.
    """
    rest = dict(policies)
    kinds = {"model_name": Kind.REGISTERED_MODEL, "prompt_name": Kind.PROMPT, "dataset_name": Kind.EVALUATION_DATASET}
    only_names = {kind: str(name) for word, kind in kinds.items() if (name := rest.pop(word, None)) is not None}
    into = rest.pop("into_experiment", None)
    for word, name in (("into_experiment", into), *((word, only_names.get(kind)) for word, kind in kinds.items())):
        if name is not None and not str(name).strip():
            raise UsageError(f"{word} is empty; give a name, or leave it out.")
    if into is not None and (Renaming.of(rename_experiments) != Renaming() or rest.get("experiment_prefix")):
        raise UsageError("into_experiment puts everything into one experiment, so that no other name can be given.")
    return ServerChoices(
        if_exists=if_exists,
        rename_experiments=Renaming.of(rename_experiments),
        rename_models=Renaming.of(rename_models),
        into_experiment=cast("str | None", into),
        only_names=only_names,
        replace=_replaced(cast("Sequence[str]", rest.pop("replace", ()))),
        source_tags=_prefix(cast("str | None", rest.pop("source_tags", None))),
        activate=activate,
        dry_run=dry_run,
        notebook_folder=notebook_folder,
        permissions=permissions,
        **rest,  # type: ignore[arg-type]
    )


def _replaced(words: Sequence[str]) -> frozenset[Kind]:
    if isinstance(words, str):
        raise UsageError(f"replace takes a list of kinds, not one string; write [{words!r}].")
    kinds = frozenset(parse_kind(word) for word in words)
    if others := kinds - REPLACEABLE:
        known = ", ".join(sorted(FOLDERS[kind] for kind in REPLACEABLE))
        raise UsageError(f"{', '.join(sorted(others))} cannot be replaced; what can be is {known}.")
    return kinds


def _prefix(word: str | None) -> str | None:
    if word is None:
        return None
    if word not in SOURCE_TAG_PREFIXES:
        raise UsageError(f"{word!r} is no prefix for source tags; the words are {', '.join(SOURCE_TAG_PREFIXES)}.")
    return SOURCE_TAG_PREFIXES[word]
