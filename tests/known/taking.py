"""What an export took, in the words of the world it came from."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from click.testing import CliRunner, Result

import mlflow_archive as ma
from mlflow_archive.cli.main import cli
from mlflow_archive.spec.manifest import Manifest
from tests.known.world import KnownWorld


@dataclass
class Taken:
    """An archive's contents: words of runs, logged models and traces, names, versions."""

    result: Result
    manifest: Manifest
    experiments: set[str]
    runs: set[str]
    logged: set[str]
    traces: set[str]
    datasets: set[str]
    models: dict[str, list[int]]
    prompts: dict[str, list[int]]
    files: dict[str, set[str]] = field(default_factory=dict)


def run(*arguments: object) -> Result:
    """Run a command line."""
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


def take(world: KnownWorld, place: Path, command: str, *arguments: object, code: int = 0) -> Taken:
    """Export from the world, and read what was written."""
    result = run(command, *arguments, "--output-dir", place, "--tracking-uri", world.uri)
    assert result.exit_code == code, result.output + result.stderr
    return read(world, place, result)


def read(world: KnownWorld, place: Path, result: Result) -> Taken:
    """Read an archive of the world."""
    words = {id: word for found in (world.runs, world.logged, world.traces) for word, id in found.items()}
    with ma.open(str(place)) as archive:
        runs, logged = list(archive.runs()), list(archive.logged_models())
        models = list(archive.models())
        return Taken(
            result=result,
            manifest=archive.manifest,
            experiments={record.name for record in archive.experiments()},
            runs={words[record.info.run_id] for record in runs},
            logged={words[record.info.model_id] for record in logged},
            traces={words[record.info.trace_id] for record in archive.traces()},
            datasets={record.name for record in archive.evaluation_datasets()},
            models={model.name: sorted(int(version.version) for version in model.versions) for model in models},
            prompts={
                prompt.name: sorted(int(version.version) for version in prompt.versions) for prompt in archive.prompts()
            },
            files={
                **{words[record.info.run_id]: {blob.name for blob in archive.files(record)} for record in runs},
                **{words[record.info.model_id]: {blob.name for blob in archive.files(record)} for record in logged},
                **{model.name: {f"{blob.role}/{blob.name}" for blob in archive.files(model)} for model in models},
            },
        )
