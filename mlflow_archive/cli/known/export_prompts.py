"""``export-prompts`` and ``export-prompt``."""

from __future__ import annotations

import click

from mlflow_archive.cli.known.exporting import Export, export_command, export_options
from mlflow_archive.cli.known.names import names_option


@export_command("export-prompts")
@names_option("--prompts", "prompts", what="Names of prompts.")
@export_options()
def export_prompts(*, prompts: tuple[str, ...], export: Export) -> int:
    """Write several or all prompts, each with all its versions, into an archive."""
    return export.run(prompts=prompts)


@export_command("export-prompt")
@click.option("--prompt-name", metavar="NAME", required=True, help="The name of the prompt.")
@click.option("--prompt-version", metavar="N", type=click.IntRange(1), required=True, help="The number of the version.")
@export_options()
def export_prompt(*, prompt_name: str, prompt_version: int, export: Export) -> int:
    """Write one version of a prompt into an archive."""
    from mlflow_archive.spec.patterns import exactly

    return export.run(prompts=[exactly(prompt_name)], prompt_versions=[prompt_version])
