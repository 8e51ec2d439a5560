"""What ``restore`` hands to the library of how objects are brought to a server, and what it does to a real one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from mlflow_archive import Renaming, api
from mlflow_archive.cli.main import cli
from mlflow_archive.errors import NotFoundError


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs nothing: the arguments of the call come here."""
    seen: dict[str, Any] = {}

    def catch(*args: Any, **kwargs: Any) -> None:
        seen.update(kwargs)
        raise NotFoundError("called")

    monkeypatch.setattr(api, "restore", catch)
    return seen


def restore(*arguments: str) -> Result:
    return CliRunner().invoke(cli, ["restore", "src", *arguments])


@pytest.mark.parametrize(
    ("arguments", "name", "value"),
    [
        (["--into-experiment", "home"], "into_experiment", "home"),
        (["--experiment-prefix", "old/"], "experiment_prefix", "old/"),
        (["--replace", "models,prompts", "--replace", "evaluation-datasets"], "replace", 3),
        (["--source-tags", "mlflow_exim"], "source_tags", "mlflow_exim"),
        (["--restoring-user"], "keep_user", False),
        ([], "keep_user", True),
    ],
)
def test_each_option_reaches_the_library(called: dict[str, Any], arguments: list[str], name: str, value: Any) -> None:
    result = restore(*arguments)
    assert "called" in result.stderr, result.output
    assert called[name] == (("models", "prompts", "evaluation-datasets") if name == "replace" else value)


def test_rules_of_a_file_come_after_single_names(called: dict[str, Any], tmp_path: Path) -> None:
    file = tmp_path / "names.csv"
    file.write_text("/Users/me,/Users/you\n", encoding="utf-8")
    restore("--rename-experiment-file", str(file), "--rename-experiment", "/Users/me/a=b", "--rename-model", "m=n")
    renaming = called["rename_experiments"]
    assert isinstance(renaming, Renaming)
    assert [renaming.rename(name) for name in ("/Users/me/a", "/Users/me/c")] == ["b", "/Users/you/c"]
    assert called["rename_models"] == {"m": "n"}
    restore("--rename-model-file", str(file))
    assert called["rename_models"].rename("/Users/me/c") == "/Users/you/c"


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"a,b\nc\n", "Line 2 of the rename file is not of the form old,new"),
        (b"\xff\xfe,b\n", "cannot be read: it is not UTF-8."),
        (None, "cannot be read: No such file or directory."),
    ],
)
@pytest.mark.parametrize("option", ["--rename-experiment-file", "--rename-model-file"])
def test_a_file_that_is_none_is_a_usage_error(
    called: dict[str, Any], tmp_path: Path, option: str, content: bytes | None, sentence: str
) -> None:
    file = tmp_path / "names.csv"
    if content is not None:
        file.write_bytes(content)
    result = restore(option, str(file))
    assert (result.exit_code, called) == (2, {})
    assert sentence in " ".join(result.stderr.split())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["--replace", "runs"], "run cannot be replaced; what can be is evaluation_datasets, models, prompts."),
        (["--source-tags", "mine"], "'mine' is not one of"),
        (["--into-experiment", ""], "into_experiment is empty; give a name, or leave it out."),
        (["--into-experiment", "a", "--experiment-prefix", "b"], "into_experiment puts everything into one experiment"),
    ],
)
def test_what_has_no_meaning_is_a_usage_error(arguments: list[str], sentence: str) -> None:
    result = restore(*arguments)
    assert result.exit_code == 2
    assert sentence in " ".join(result.stderr.split())
