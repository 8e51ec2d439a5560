"""The commands that users of mlflow-export-import know: the same names, options and meaning, done by this package.

Each command is a thin mapping of its options onto one call of `mlflow_archive.api`. Nothing of a command is imported
before it is asked for: the table here is all that the help of ``mlflow-archive`` needs.
"""

from __future__ import annotations

from typing import NamedTuple


class Known(NamedTuple):
    """One command.

    Attributes:
        module: The module in this folder that has it, as the attribute named like the command with underscores.
        help: Its line in the list of commands.
    """

    module: str
    help: str


#: In the order of the help text.
KNOWN: dict[str, Known] = {
    "export-all": Known("export_all", "Write everything a server has into an archive."),
    "export-experiments": Known("export_experiments", "Write several or all experiments into an archive."),
    "export-experiment": Known("export_experiments", "Write an experiment into an archive."),
    "export-run": Known("export_runs", "Write a run into an archive."),
    "export-models": Known("export_models", "Write several or all registered models with their runs."),
    "export-model": Known("export_models", "Write a registered model with its runs into an archive."),
    "export-model-version": Known("export_models", "Write one version of a registered model with its run."),
    "export-logged-models": Known("export_logged_models", "Write the logged models of experiments into an archive."),
    "export-logged-model": Known("export_logged_models", "Write a logged model into an archive."),
    "export-traces": Known("export_traces", "Write the traces of experiments into an archive."),
    "export-trace": Known("export_traces", "Write a trace into an archive."),
    "export-prompts": Known("export_prompts", "Write several or all prompts into an archive."),
    "export-prompt": Known("export_prompts", "Write one version of a prompt into an archive."),
    "export-evaluation-datasets": Known(
        "export_evaluation_datasets", "Write several or all evaluation datasets into an archive."
    ),
    "export-evaluation-dataset": Known("export_evaluation_datasets", "Write an evaluation dataset into an archive."),
    "copy-run": Known("copying", "Copy a run from server to server."),
    "copy-experiment": Known("copying", "Copy an experiment from server to server."),
    "copy-model": Known("copying", "Copy a registered model from server to server."),
    "copy-model-version": Known("copy_model_version", "Copy a model version, as the next one of a model elsewhere."),
    "download-notebook": Known("download_notebook", "Download a notebook of a Databricks workspace."),
    "get-model-signature": Known("signatures", "Print the signature of a model."),
    "set-model-signature": Known("signatures", "Infer a signature from samples and write it into a model."),
    "list-model-versions-without-signatures": Known("signatures", "List the versions that have no signature."),
    "import-all": Known("import_all", "Bring everything in an archive to a server."),
    "import-experiments": Known("import_experiments", "Bring all experiments in an archive to a server."),
    "import-experiment": Known("import_experiments", "Bring an experiment to a server, under a name of your choice."),
    "import-run": Known("import_experiments", "Bring a run into an experiment of your choice."),
    "import-models": Known("import_models", "Bring registered models and experiments in an archive to a server."),
    "import-model": Known("import_models", "Bring a registered model to a server, under a name of your choice."),
    "import-model-version": Known("import_models", "Bring a model version to a server, as a model's next one."),
    "import-logged-models": Known("import_logged_models", "Bring all logged models in an archive to a server."),
    "import-logged-model": Known("import_logged_models", "Bring a logged model into an experiment of your choice."),
    "import-traces": Known("import_traces", "Bring all traces in an archive to a server."),
    "import-trace": Known("import_traces", "Bring a trace into an experiment of your choice."),
    "import-prompts": Known("import_prompts", "Bring all prompts in an archive to a server."),
    "import-prompt": Known("import_prompts", "Bring a prompt to a server."),
    "import-evaluation-datasets": Known(
        "import_evaluation_datasets", "Bring all evaluation datasets in an archive to a server."
    ),
    "import-evaluation-dataset": Known("import_evaluation_datasets", "Bring an evaluation dataset to a server."),
}
