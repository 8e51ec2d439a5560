"""``import-logged-models`` and ``import-logged-model``."""

from __future__ import annotations

from typing import Any

from mlflow_archive.cli.known import importing as shared
from mlflow_archive.spec.patterns import exactly


@shared.import_command("import-logged-models")
@shared.import_options()
def import_logged_models(*, bring: shared.Import) -> int:
    """Import all logged models that an archive holds, each into the experiment of the same name."""
    return bring.run(only=("logged-models",))


@shared.import_command("import-logged-model")
@shared.experiment_name_option
@shared.mlmodel_option
@shared.import_options()
def import_logged_model(*, bring: shared.Import, experiment_name: str, **wishes: Any) -> int:
    """Import the logged model that an archive holds into an experiment of your choice."""
    source = bring.the_experiment(experiment_name)
    return bring.run(experiments=[exactly(source)], only=("logged-models",), into_experiment=experiment_name, **wishes)
