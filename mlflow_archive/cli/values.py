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
    """``KEY=VALUE`` for a file system; the value is JSON where it reads as JSON, else text.

    A value may be a credential, so no message shows one.
    """

    def __init__(self) -> None:
        super().__init__("KEY", "VALUE")

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, Any]:
        """Cut the value in two and read the right side."""
        if isinstance(value, tuple):
            return value
        left, separator, right = value.partition("=")
        if not separator or not all(left.split(".")):
            self.fail("a setting must be of the form KEY=VALUE (it is not shown, as it may be secret).", param, ctx)
        try:
            return left, json.loads(right, parse_constant=_no_number)
        except ValueError:
            return left, {"True": True, "False": False, "None": None}.get(right, right)


def _no_number(word: str) -> float:
    raise ValueError(word)


def nested(ctx: click.Context, param: click.Parameter, settings: tuple[tuple[str, Any], ...]) -> dict[str, Any]:
    """Return settings as one mapping, a dot in a key beginning a mapping in it; a callback of options.

    Raises:
        BadParameter: A key is both a value and a mapping.
    """
    options: dict[str, Any] = {}
    for key, value in settings:
        *folders, name = key.split(".")
        inner = options
        for folder in folders:
            inner = inner.setdefault(folder, {})
            if not isinstance(inner, dict):
                raise click.BadParameter(f"{folder!r} of {key!r} has a value of its own already.", ctx, param)
        both = isinstance(inner.get(name), dict) and isinstance(value, dict)
        inner[name] = {**inner[name], **value} if both else value
    return options


class Share(ParamType):
    """A share: ``10%`` or ``0.1``."""

    name = "share"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:
        """Return what the help text shows."""
        return "PERCENT%"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> float:
        """Read the share."""
        if isinstance(value, float):
            return value
        text = str(value).strip()
        try:
            share = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            share = -1.0
        if not 0 < share <= 1:
            self.fail(f"{value!r} is not a share: give a percentage up to 100%, such as 10%.", param, ctx)
        return share


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
