"""Several objects by name: all, lists, prefixes, files, and names with commas."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from mlflow_archive.cli.known.names import ids_option, names_option, numbers_option, read_names


@pytest.mark.parametrize(
    ("values", "names"),
    [
        (("all",), ("*",)),
        (("iris",), ("iris",)),
        (("iris,wine",), ("iris", "wine")),
        (("iris, wine ,iris,",), ("iris", "wine")),
        (("skl*",), ("skl*",)),
        (("skl*,1",), ("skl*", "1")),
        (('"a, b",c',), ("a, b", "c")),
        (("a, b", "c"), ("a, b", "c")),
        (("all", "notes.txt"), ("all", "notes.txt")),
    ],
)
def test_names(values: tuple[str, ...], names: tuple[str, ...]) -> None:
    assert read_names(values) == names


def test_a_file_has_a_name_in_each_line(tmp_path: Path) -> None:
    file = tmp_path / "experiments.txt"
    file.write_bytes("\ufeffiris, the flower\r\n\r\n  wine \nskl*\n".encode())

    assert read_names((str(file),)) == ("iris, the flower", "wine", "skl*")


@pytest.mark.parametrize("value", ["", " , ", "empty.txt", "nowhere.txt", "latin.txt"])
def test_nothing_named_is_refused(value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.txt").write_text("\n \n")
    (tmp_path / "latin.txt").write_bytes(b"\xe4\n")

    result = parse("--names", value)

    assert result.exit_code == 2
    assert "names nothing" in result.output or "with a name in each line, and cannot be" in result.output


def parse(*arguments: str) -> Result:
    @click.command()
    @names_option("--names", "names", what="Names.", required=False)
    @ids_option("--ids", "ids", help="Ids.")
    @numbers_option("--versions", "versions", help="Versions.")
    def command(names: tuple[str, ...], ids: tuple[str, ...], versions: tuple[int, ...]) -> None:
        click.echo(f"{names} {ids} {versions}")

    return CliRunner().invoke(command, arguments)


def test_nothing_given_is_nothing() -> None:
    assert parse().output.strip() == "() () ()"


def test_ids_and_numbers_take_lists_and_repetition() -> None:
    result = parse("--ids", "a,b", "--ids", "c", "--versions", "1, 12", "--versions=2")

    assert result.output.strip() == "() ('a', 'b', 'c') (1, 12, 2)"


@pytest.mark.parametrize("value", ["x", "1,x", "-1", ","])
def test_numbers_are_numbers(value: str) -> None:
    assert parse("--versions", value).exit_code == 2
