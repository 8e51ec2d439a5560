"""The types of option values that are more than a word."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from mlflow_archive.spec.kinds import FOLDERS, KIND_ORDER

if TYPE_CHECKING:
    ParamType = click.ParamType[Any]
else:
    ParamType = click.ParamType  # click before 8.5 has no type parameter

#: The words for ``--only`` and ``--without``, as help texts and completions spell them.
KIND_WORDS: tuple[str, ...] = tuple(FOLDERS[kind].replace("_", "-") for kind in KIND_ORDER)


class Pair(ParamType):
    """``LEFT=RIGHT``, cut at the first ``=``; at the last where the left side may hold one itself."""

    name = "pair"

    def __init__(self, left: str, right: str, *, last: bool = False) -> None:
        self._form = f"{left}={right}"
        self._last = last

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return what the help text shows."""
        return self._form

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, str]:
        """Cut the value in two."""
        if isinstance(value, tuple):
            return value
        left, separator, right = value.rpartition("=") if self._last else value.partition("=")
        if not separator or not left or not right:
            self.fail(f"{value!r} is not of the form {self._form}.", param, ctx)
        return left, right


class Setting(Pair):
    """``KEY=VALUE`` for a file system; the value is JSON where it reads as JSON, else text."""

    def __init__(self) -> None:
        super().__init__("KEY", "VALUE")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """Cut the value in two and read the right side."""
        left, right = super().convert(value, param, ctx)
        try:
            return left, json.loads(right)
        except ValueError:
            return left, {"True": True, "False": False}.get(right, right)


class Words(ParamType):
    """Words with commas between them; what they mean is checked by whoever takes them."""

    name = "words"

    def __init__(self, metavar: str, known: tuple[str, ...]) -> None:
        self._metavar = metavar
        self._known = known

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return what the help text shows."""
        return self._metavar

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Split the value at its commas."""
        if isinstance(value, tuple):
            return value
        return tuple(word.strip() for word in str(value).split(",") if word.strip())

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """Complete the last of the words."""
        done, comma, word = incomplete.rpartition(",")
        return [CompletionItem(f"{done}{comma}{known}") for known in self._known if known.startswith(word)]
