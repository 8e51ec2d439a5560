"""The migration guide tells the truth: its commands parse, its examples run, options and links are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

import mlflow_archive
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.main import COMMANDS, cli
from tests.predecessor.trees import exported_all
from tests.test_readme import SEED, command_lines

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "migration.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```bash *([\w-]*)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)
ALL = command_lines(BLOCKS)
#: Options of mlflow-export-import's own that the guide names, and that no command here has.
NOT_OURS = {"--help"}


def of(block: str) -> list[list[str]]:
    return command_lines([(name, text) for name, text in BLOCKS if name == block])


def parsed(words: list[str]) -> click.Context:
    group = click.Context(cli, info_name="mlflow-archive")
    command = cli.get_command(group, words[0])
    assert command is not None, f"there is no command {words[0]}"
    return command.make_context(words[0], words[1:], parent=group, resilient_parsing=False)


def test_the_commands_are_found() -> None:
    assert len(ALL) >= 12
    assert [words[0] for words in of("first-try")] == ["export-all", "verify", "import-all", "diff"]
    assert [words[0] for words in of("old-archive")] == ["ls", "import-all", "repack", "verify"]


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_parses(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "renames.csv").write_text("dev/churn,churn\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)

    assert parsed(words).params


def test_the_right_column_parses() -> None:
    section = GUIDE.partition("## Old command, new command")[2].partition("\nOptions:")[0]
    cells = re.findall(r"^\| .* \| `((?:backup|restore) .*)` \|$", section, flags=re.MULTILINE)

    assert len(cells) >= 10
    for words in command_lines([("", "\n".join(f"mlflow-archive {cell}" for cell in cells))]):
        assert parsed(words).params


@pytest.mark.parametrize("name", KNOWN)
def test_every_known_command_is_named(name: str) -> None:
    single = name.removesuffix("s")
    assert f"`{name}" in GUIDE or f"`{single}(s)`" in GUIDE


def test_every_option_that_is_named_exists() -> None:
    group = click.Context(cli)
    options = set(NOT_OURS)
    for name in (*COMMANDS, *KNOWN):
        command = cli.get_command(group, name)
        assert command is not None
        options |= {word for param in command.params for word in param.opts}

    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", GUIDE)) - options == set()


def test_links_lead_somewhere() -> None:
    links = [link for link in re.findall(r"\]\(([^)]+)\)", GUIDE) if "://" not in link]
    headings = {heading.lower().replace(" ", "-").replace(",", "") for heading in re.findall(r"^## (.+)$", GUIDE, re.M)}

    assert [link for link in links if not link.startswith("#") and not (ROOT / "docs" / link).exists()] == []
    assert [link for link in links if link.startswith("#") and link[1:] not in headings] == []


def test_the_library_example_names_what_exists() -> None:
    (example,) = re.findall(r"^```python\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)

    compile(example, "migration.md", "exec")
    assert set(re.findall(r"\bma\.(\w+)", GUIDE)) <= set(mlflow_archive.__all__)


def run(words: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mlflow_archive", *words],
        cwd=place,
        env=environment(),
        check=False,
        capture_output=True,
        text=True,
    )


def environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
    return kept


@pytest.mark.timeout(900)
def test_the_first_try_runs(tmp_path: Path) -> None:
    subprocess.run([sys.executable, "-c", SEED], cwd=tmp_path, env=environment(), check=True, capture_output=True)

    for words in of("first-try"):
        done = run(words, tmp_path)
        assert done.returncode == 0, f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"


@pytest.mark.timeout(900)
def test_an_old_archive_is_used_and_converted(tmp_path: Path) -> None:
    exported_all(tmp_path / "old-export", "G4")

    codes = {}
    for words in of("old-archive"):
        done = run(words, tmp_path)
        codes[words[0]] = done.returncode
        assert done.returncode in (0, 3), f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
    assert codes == {"ls": 0, "import-all": 3, "repack": 3, "verify": 0}, "one of its runs had failed at the export"
    with mlflow_archive.open(str(tmp_path / "converted")) as archive:
        assert [version.version for version in next(archive.models()).versions] == [2, 9, 10]
        assert {run.info.end_time for run in archive.runs()} == {1_600_000_060_000}
