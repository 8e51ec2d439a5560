"""Which tests show the effect of which option of the known commands.

A test says it itself, by `shows`; the table is collected from all modules of this folder. `python -m tests.known.table`
writes docs/known-commands.md, which a test compares.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from mlflow_archive.cli.known import KNOWN
from mlflow_archive.cli.main import cli

F = TypeVar("F", bound=Callable[..., Any])

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "known-commands.md"

#: How the names of commands begin that share options -> the title of these; the rest is on its own.
FAMILIES = {
    "export-": "Options of all exports",
    "import-": "Options of all imports",
    "copy-": "Options of all copies",
    "": "",
}
HEAD = ("| Option | Meaning | Tests |", "|---|---|---|")

BEFORE = """# The commands of mlflow-export-import

`mlflow-archive` has the commands of mlflow-export-import with their names and options.
They write and read the archives of this tool, and `import-*` reads the folders that mlflow-export-import wrote as well.
How to come over, and what is different, is in [migration.md](migration.md).

- Options that are yes or no stand alone or have a value: `--use-threads`, `--use-threads True`, `--use-threads=false`.
- `--output-dir` and `--input-dir` are local paths or URLs; `.tar`, `.tar.gz`, `.tgz` and `.tar.zst` make a tarball.
- Options that name several objects take `all`, a comma list (a name with a comma stands in double quotes), `prefix*`,
  or `file.txt` with a name in each line. Given several times, each value is one name as it stands.
- What is named and not there is reported, the rest is done, and the exit code is 3; if nothing is there, it is 1.

The last column names the tests below `tests/known` that show what the option does.
"""


def shows(commands: str | Iterable[str], *options: str) -> Callable[[F], F]:
    """Say of a test that it shows the effect of these options of a command, or of several."""
    names = [commands] if isinstance(commands, str) else list(commands)

    def decorate(test: F) -> F:
        shown = getattr(test, "shows", ())
        test.shows = (*shown, *((name, option) for name in names for option in options))  # type: ignore[attr-defined]
        return test

    return decorate


def command(name: str) -> click.Command:
    """Return a known command."""
    found = cli.get_command(click.Context(cli), name)
    assert found is not None, name
    return found


def options(name: str) -> list[click.Option]:
    """Return the options of a command, in their order."""
    return [param for param in command(name).params if isinstance(param, click.Option)]


def with_option(option: str, *, prefix: str = "") -> list[str]:
    """Return the known commands whose name begins so and that have this option."""
    return [name for name in KNOWN if name.startswith(prefix) and any(option in found.opts for found in options(name))]


def shown_by() -> dict[tuple[str, str], list[str]]:
    """Return (command, option) -> ids of tests below this folder."""
    found: dict[tuple[str, str], list[str]] = {}
    folder = Path(__file__).parent
    for path in sorted(folder.rglob("test_*.py")):
        place = path.relative_to(folder)
        module = importlib.import_module(".".join(("tests", "known", *place.with_suffix("").parts)))
        for name, test in _tests(module):
            for shown in getattr(test, "shows", ()):
                found.setdefault(shown, []).append(f"{place}::{name}")
    return found


def _tests(module: object) -> Iterator[tuple[str, object]]:
    for name, value in vars(module).items():
        if name.startswith("test_") and callable(value):
            yield name, value
        elif name.startswith("Test") and isinstance(value, type):
            yield from ((f"{name}::{inner}", test) for inner, test in vars(value).items() if inner.startswith("test_"))


def document() -> str:
    """Return the text of docs/known-commands.md: what all commands of a family share stands once, before them."""
    tests = shown_by()
    lines = [BEFORE]
    for family, title in FAMILIES.items():
        members = [name for name in KNOWN if _family(name) == family]
        shared = _shared(members) if family else []
        if shared:
            lines += [f"## {title}", "", f"All of {', '.join(f'`{name}`' for name in members)} have:", "", *HEAD]
            lines += [_row(option, _in_order(tests, members, option)) for option in shared]
            lines.append("")
        for name in members:
            own = [option for option in options(name) if not any(_same(option, other) for other in shared)]
            lines += [f"## {name}", "", " ".join((command(name).help or "").split()), ""]
            if own:
                lines += [*HEAD, *(_row(option, _in_order(tests, [name], option)) for option in own), ""]
            if shared:
                lines += [f"And [the options of all of them](#{title.lower().replace(' ', '-')}).", ""]
    return "\n".join(lines).rstrip("\n") + "\n"


def _family(name: str) -> str:
    return next((prefix for prefix in FAMILIES if prefix and name.startswith(prefix)), "")


def _shared(members: list[str]) -> list[click.Option]:
    first, *others = members
    return [
        option
        for option in options(first)
        if all(any(_same(option, other) for other in options(name)) for name in others)
    ]


def _same(one: click.Option, other: click.Option) -> bool:
    return (one.opts, one.help, one.required) == (other.opts, other.help, other.required)


def _in_order(tests: dict[tuple[str, str], list[str]], names: list[str], option: click.Option) -> list[str]:
    return [*dict.fromkeys(test for name in names for test in tests.get((name, option.opts[0]), ()))]


def _row(option: click.Option, tests: list[str]) -> str:
    spelled = ", ".join(f"`{word}`" for word in option.opts)
    needed = " Required." if option.required else ""
    return f"| {spelled} | {_cell(option.help or '')}{needed} | {'<br>'.join(f'`{test}`' for test in tests)} |"


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;").replace("*", "\\*")


if __name__ == "__main__":
    # Imported under its own name, so that the tests' `shows` is this one.
    from tests.known.table import document as write

    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(write(), encoding="utf-8")
