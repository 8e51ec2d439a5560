"""``import-all``: everything an archive holds."""

from __future__ import annotations

from typing import Any

from mlflow_archive.cli.known import importing as shared


@shared.import_command("import-all")
@shared.replace_option("--delete-model", what="registered model")
@shared.replace_option("--delete-prompt", what="prompt")
@shared.replace_option("--delete-evaluation-dataset", what="evaluation dataset")
@shared.rename_option("--experiment-rename-file", "rename_experiments", what="experiment")
@shared.rename_option("--model-rename-file", "rename_models", what="registered model or prompt")
@shared.source_tags_option()
@shared.user_option
@shared.permissions_option
@shared.verbose_option
@shared.import_options()
def import_all(
    *,
    bring: shared.Import,
    delete_model: bool,
    delete_prompt: bool,
    delete_evaluation_dataset: bool,
    **wishes: Any,
) -> int:
    """Import everything that an archive holds."""
    replace = shared.replaced(models=delete_model, prompts=delete_prompt, evaluation_datasets=delete_evaluation_dataset)
    return bring.run(replace=replace, **wishes)
