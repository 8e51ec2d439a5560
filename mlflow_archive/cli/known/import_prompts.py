"""``import-prompts`` and ``import-prompt``."""

from __future__ import annotations

import click

from mlflow_archive.cli.known import importing as shared
from mlflow_archive.spec.patterns import exactly


@shared.import_command("import-prompts")
@shared.replace_option("--delete-prompt", what="prompt")
@shared.import_options()
def import_prompts(*, bring: shared.Import, delete_prompt: bool) -> int:
    """Import all prompts that an archive holds, with all their versions."""
    return bring.run(only=("prompts",), replace=shared.replaced(prompts=delete_prompt))


@shared.import_command("import-prompt")
@click.option("--prompt-name", metavar="NAME", help="Its name at the target, if not that at the source.")
@shared.replace_option("--delete-prompt", what="prompt")
@shared.import_options()
def import_prompt(*, bring: shared.Import, prompt_name: str | None, delete_prompt: bool) -> int:
    """Import the prompt that an archive holds.

    Its versions keep their numbers in a new prompt, and get the next ones in a prompt that the target has. Of several
    prompts in an archive the one of the name is imported.
    """
    return bring.run(
        prompts=[exactly(bring.the_prompt(prompt_name))],
        only=("prompts",),
        prompt_name=prompt_name,
        replace=shared.replaced(prompts=delete_prompt),
        append_versions=True,
    )
