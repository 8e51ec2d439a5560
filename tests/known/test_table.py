"""Every known command loads, and every option of it has a test that shows what it does."""

from __future__ import annotations

import resource
import subprocess
import sys

import pytest
from click.testing import CliRunner

from mlflow_archive.cli.exit_status import ROWS
from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.main import COMMANDS, cli
from tests.known.table import DOCUMENT, ROOT, command, document, options, shown_by

HEAVY = ("mlflow", "fsspec", "rich", "pydantic", "zstandard", "sqlalchemy", "requests")


@pytest.mark.parametrize("name", KNOWN)
def test_every_option_has_a_test_that_shows_its_effect(name: str) -> None:
    tests = shown_by()

    assert [option.opts[0] for option in options(name) if (name, option.opts[0]) not in tests] == []


def test_no_test_shows_what_is_not_there() -> None:
    there = {(name, option.opts[0]) for name in KNOWN for option in options(name)}

    assert sorted(set(shown_by()) - there) == []


@pytest.mark.parametrize("name", KNOWN)
def test_every_command_is_documented(name: str) -> None:
    result = CliRunner().invoke(cli, [name, "--help"])

    assert result.exit_code == 0, result.output
    assert command(name).name == name
    assert command(name).get_short_help_str(200) == KNOWN[name].help
    assert [option.name for option in options(name) if not option.help] == []
    assert [line.split()[0] for line in result.output.rstrip().splitlines()[-len(ROWS) :]] == [code for code, _ in ROWS]


def test_the_document_is_that_of_the_program() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), (
        f"{DOCUMENT.relative_to(ROOT)} is old: write it by python -m tests.known.table"
    )


def test_no_name_is_taken_twice() -> None:
    assert set(KNOWN) & set(COMMANDS) == set()


def test_the_help_lists_them_apart_from_our_own() -> None:
    output = CliRunner().invoke(cli, ["--help"]).output

    own, _, known = output.partition("Commands by the names and options of mlflow-export-import:")
    assert all(f"\n  {name} " in own for name in COMMANDS)
    assert all(f"\n  {name}" in known for name in KNOWN)


def run(program: str) -> str:
    return subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True).stdout


def test_the_help_of_the_whole_imports_none_of_them() -> None:
    loaded = run(
        "import sys; from mlflow_archive.cli.main import main; sys.argv = ['mlflow-archive', '--help']\n"
        "try: main()\n"
        "finally: print(*(name for name in sys.modules if name.startswith('mlflow_archive.cli.known')))"
    )

    assert loaded.splitlines()[-1] == "mlflow_archive.cli.known"


def test_the_help_of_the_whole_is_quick() -> None:
    program = "import sys; from mlflow_archive.cli.main import main; sys.argv = ['mlflow-archive', '--help']; main()"
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for _ in range(5):
        run(program)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)

    # Time of the processor, which does not depend on what else the machine has to do.
    assert (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 5 < 0.3


@pytest.mark.parametrize("name", KNOWN)
def test_the_help_of_one_imports_nothing_heavy(name: str) -> None:
    loaded = run(
        f"import sys; from mlflow_archive.cli.main import main; sys.argv = ['mlflow-archive', {name!r}, '--help']\n"
        "try: main()\n"
        f"finally: print('heavy:', *({{name.partition('.')[0] for name in sys.modules}} & set({HEAVY!r})))"
    )

    assert loaded.splitlines()[-1].strip() == "heavy:"
