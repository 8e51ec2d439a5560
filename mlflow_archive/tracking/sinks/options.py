"""What the operator decides about a restore."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum

from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.renaming import Renaming


class IfExists(str, Enum):
    """What to do with an object that is at the target already."""

    SKIP = "skip"
    """Leave it as it is; add below it what is missing."""
    UPDATE = "update"
    """Overwrite its tags, description and end state."""
    FAIL = "fail"
    """Refuse the object."""
    DUPLICATE = "duplicate"
    """Make a second one."""

    def __str__(self) -> str:
        """Return the word itself."""
        return self.value


@dataclass(frozen=True, slots=True)
class GivenPlace:
    """Where the files of a model version are, known beforehand: they are not copied.

    Attributes:
        source: The address for the target.
        run_id: The target's run that they belong to.
        model_id: The target's logged model that they belong to.
        run_link: The page of the run that the version was made from, wherever that is.
    """

    source: str
    run_id: str | None = None
    model_id: str | None = None
    run_link: str | None = None


@dataclass(frozen=True, slots=True)
class SinkOptions:
    """The choices of one restore.

    Attributes:
        if_exists: What to do with objects that are there already.
        rename_experiment: Names of experiments at the target.
        rename_model: Names of registered models and prompts at the target.
        experiment_prefix: Put before the names of experiments, after they are renamed.
        into_experiment: The one experiment that everything of every source experiment goes into, made if absent.
        experiment_tags: Bring the tags of experiments along.
        only_names: For a kind, the name that the one object of it takes; a second object of the kind is refused.
        replace: Kinds of which the target's object of that name is deleted before ours is made.
        create_models: Make registered models that the target does not have.
        append_versions: Give versions the next numbers of a model that is there, not their own.
        version_places: For a version's number at the source, where its files are for the target.
        version_tags: Further tags for every new version of a registered model.
        stages_and_aliases: Bring stages and aliases of model versions along.
        registry_metadata: Bring descriptions and tags of registered models along; those of versions always come.
        source_tags: Prefix under which the source's information is written as tags; None writes none.
        keep_user: The source's user stays a run's user; otherwise it is who restores.
        edit_mlmodels: Put new ids into MLmodel files; otherwise these files stay as they are.
        await_versions_s: How many seconds a new model version gets to become ready; 0 does not ask.
        dry_run: Read the target, write nothing.
        activate: Restore webhooks and online scorers as active as they were, instead of switched off.
        source_uri: Where the objects come from, without credentials; written into provenance tags.
    """

    if_exists: IfExists = IfExists.SKIP
    rename_experiment: Renaming = field(default_factory=Renaming)
    rename_model: Renaming = field(default_factory=Renaming)
    experiment_prefix: str = ""
    into_experiment: str | None = None
    experiment_tags: bool = True
    only_names: Mapping[Kind, str] = field(default_factory=dict)
    replace: frozenset[Kind] = frozenset()
    create_models: bool = True
    append_versions: bool = False
    version_places: Mapping[int, GivenPlace] = field(default_factory=dict)
    version_tags: Mapping[str, str] = field(default_factory=dict)
    stages_and_aliases: bool = True
    registry_metadata: bool = True
    source_tags: str | None = None
    keep_user: bool = True
    edit_mlmodels: bool = True
    await_versions_s: int = 0
    dry_run: bool = False
    activate: bool = False
    source_uri: str = ""
