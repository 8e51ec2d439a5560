"""``import-traces`` and ``import-trace``."""

from __future__ import annotations

from mlflow_archive.cli.known import importing as shared
from mlflow_archive.spec.patterns import exactly


@shared.import_command("import-traces")
@shared.import_options()
def import_traces(*, bring: shared.Import) -> int:
    """Import all traces that an archive holds, each into the experiment of the same name."""
    return bring.run(only=("traces",))


@shared.import_command("import-trace")
@shared.experiment_name_option
@shared.import_options()
def import_trace(*, bring: shared.Import, experiment_name: str) -> int:
    """Import the trace that an archive holds into an experiment of your choice."""
    source = bring.the_experiment(experiment_name)
    return bring.run(experiments=[exactly(source)], only=("traces",), into_experiment=experiment_name)
