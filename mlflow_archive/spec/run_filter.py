"""MLflow's filter language for runs, for records: the same verdicts as a server gives, without MLflow.

filter     = comparison ("AND" comparison)*
comparison = key operator value | key ("IS NULL" | "IS NOT NULL")
key        = [entity "."] name           entity: metric(s) param(s) parameter(s) tag(s) attribute(s) attr run
name       = word | `quoted` | "quoted"          dataset(s); none is attribute
operator   = "=" "!=" "<" "<=" ">" ">=" "LIKE" "ILIKE" "IN" "NOT IN"
value      = number | 'text' | "text" | "(" 'text' ("," 'text')* ")"
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.canonical import JSONValue, decode_float
from mlflow_archive.spec.records.run import RunRecord

Value = float | str | tuple[str, ...] | None

_ENTITIES = {
    **dict.fromkeys(("metric", "metrics"), "metric"),
    **dict.fromkeys(("parameter", "parameters", "param", "params"), "param"),
    **dict.fromkeys(("tag", "tags"), "tag"),
    **dict.fromkeys(("attribute", "attributes", "attr", "run"), "attribute"),
    **dict.fromkeys(("dataset", "datasets"), "dataset"),
}
_ALIASES = {
    **dict.fromkeys(("created", "Created"), "start_time"),
    **dict.fromkeys(("run name", "Run name", "Run Name"), "run_name"),
}
_NUMERIC = frozenset({"start_time", "end_time"})
_TEXTUAL = frozenset({"run_id", "run_name", "status", "artifact_uri", "user_id"})
_DATASET = frozenset({"name", "digest", "context"})
_CONTEXT_TAG = "mlflow.data.context"

_ORDERED = frozenset({"=", "!=", "<", "<=", ">", ">="})
_WORDS = frozenset({"=", "!=", "LIKE", "ILIKE"})
_LISTS = frozenset({"IN", "NOT IN"})
_NULLS = frozenset({"IS NULL", "IS NOT NULL"})

_SPACE = re.compile(r"\s*")
_KEY = re.compile(r"(?:`?(?P<entity>\w+)`?\.)?(?:`(?P<ticked>[^`]+)`|\"(?P<quoted>[^\"]+)\"|(?P<bare>[^\W\d][\w.]*))")
_OPERATOR = re.compile(r"<=|>=|!=|=|<|>|(?:NOT\s+IN|IN|ILIKE|LIKE|IS\s+NOT\s+NULL|IS\s+NULL)(?!\w)", re.IGNORECASE)
_TEXT = re.compile(r"'(?P<single>(?:''|\\'|[^'])*)'|\"(?P<double>(?:\"\"|\\\"|[^\"])*)\"")
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?(?![\w.])")
_AND = re.compile(r"AND(?!\w)", re.IGNORECASE)

_COMPARE: dict[str, Callable[[float, float], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One condition: ``entity`` is ``metric``, ``param``, ``tag``, ``attribute`` or ``dataset``."""

    entity: str
    key: str
    operator: str
    value: Value


class RunFilter:
    """A parsed filter.

    Attributes:
        comparisons: What must hold, all of it.
    """

    def __init__(self, text: str) -> None:
        """Parse a filter.

        Raises:
            UsageError: It is not one; the sentence has the position, counted from 1.
        """
        self.comparisons = tuple(_Parser(text).comparisons())

    def matches(self, run: RunRecord) -> bool:
        """Tell whether all comparisons hold for a run."""
        return all(_holds(comparison, run) for comparison in self.comparisons)


class _Parser:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def comparisons(self) -> Iterator[Comparison]:
        if not self._text.strip():
            return
        yield self._comparison()
        while self._rest():
            if self._take(_AND) is None:
                raise self._wrong("AND or the end", self._at)
            yield self._comparison()

    def _comparison(self) -> Comparison:
        start = self._at
        entity, key = self._key()
        allowed = _allowed(entity, key)
        self._rest()
        place = self._at
        found = self._take(_OPERATOR)
        word = re.sub(r"\s+", " ", found[0]).upper() if found else ""
        if word not in allowed:
            message = f"one of {', '.join(sorted(allowed))} after {self._text[start:place].strip()}"
            raise self._wrong(message, place)
        return Comparison(entity, key, word, self._value(entity, key, word))

    def _key(self) -> tuple[str, str]:
        self._rest()
        place = self._at
        found = self._take(_KEY)
        if found is None:
            raise self._wrong("a key such as metrics.accuracy, params.lr, tags.team or status", place)
        entity, bare = found["entity"], found["bare"]
        key = found["ticked"] or found["quoted"] or bare
        if entity is None and bare and "." in bare:
            entity, _, key = bare.partition(".")
        word = _ENTITIES.get(entity) if entity is not None else "attribute"
        if word is None:
            raise self._wrong("metrics, params, tags, attributes or datasets before the dot", place)
        if word == "attribute":
            key = _ALIASES.get(key, key)
        known = {"attribute": _NUMERIC | _TEXTUAL, "dataset": _DATASET}.get(word)
        if known is not None and key not in known:
            raise self._wrong(f"one of the {word}s {', '.join(sorted(known))}", place)
        return word, key

    def _value(self, entity: str, key: str, word: str) -> Value:
        if word in _NULLS:
            return None
        if word in _LISTS:
            return self._list()
        if entity == "metric" or (entity == "attribute" and key in _NUMERIC):
            self._rest()
            found = self._take(_NUMBER)
            if found is None:
                raise self._wrong("a number", self._at)
            return float(found[0]) if re.search(r"[.eE]", found[0]) else int(found[0])
        return self._string()

    def _string(self) -> str:
        self._rest()
        found = self._take(_TEXT)
        if found is None:
            raise self._wrong("a text in quotes", self._at)
        return found["single"] if found["single"] is not None else found["double"]

    def _list(self) -> tuple[str, ...]:
        self._require("(")
        values = [self._string()]
        while self._rest().startswith(","):
            self._at += 1
            if self._rest().startswith(")"):
                break
            values.append(self._string())
        self._require(")")
        return tuple(values)

    def _require(self, sign: str) -> None:
        if not self._rest().startswith(sign):
            raise self._wrong(repr(sign), self._at)
        self._at += 1

    def _rest(self) -> str:
        """Skip white space and return what is left."""
        match = _SPACE.match(self._text, self._at)
        self._at = match.end() if match else self._at
        return self._text[self._at :]

    def _take(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        found = pattern.match(self._text, self._at)
        if found is not None:
            self._at = found.end()
        return found

    def _wrong(self, expected: str, place: int) -> UsageError:
        found = repr(self._text[place : place + 20]) if place < len(self._text) else "the end"
        return UsageError(
            f"The run filter {self._text!r} is wrong at position {place + 1}: expected {expected}, found {found}.",
            code="run_filter",
        )


def _allowed(entity: str, key: str) -> frozenset[str]:
    if entity == "metric" or (entity == "attribute" and key in _NUMERIC):
        return _ORDERED
    if entity in ("param", "tag"):
        return _WORDS | _NULLS
    if entity == "dataset" or key == "run_id":
        return _WORDS | _LISTS
    return _WORDS


def _holds(comparison: Comparison, run: RunRecord) -> bool:
    if comparison.entity == "dataset":
        return any(_compare(comparison, value) for value in _dataset_values(run, comparison.key))
    value = _value_of(run, comparison.entity, comparison.key)
    if comparison.operator in _NULLS:
        return (value is None) == (comparison.operator == "IS NULL")
    return value is not None and _compare(comparison, value)


def _value_of(run: RunRecord, entity: str, key: str) -> float | str | None:
    if entity == "metric":
        return next((decode_float(metric.value) for metric in run.metrics if metric.key == key), None)
    if entity == "param":
        return run.params.get(key)
    if entity == "tag":
        return run.tags.get(key)
    value: float | str | None = getattr(run.info, key)
    return value


def _dataset_values(run: RunRecord, key: str) -> Iterator[str]:
    for given in run.dataset_inputs:
        if key != "context":
            dataset = given.get("dataset")
            value: JSONValue = dataset.get(key) if isinstance(dataset, dict) else None
            if isinstance(value, str):
                yield value
            continue
        tags = given.get("tags")
        for tag in tags if isinstance(tags, list) else []:
            if isinstance(tag, dict) and tag.get("key") == _CONTEXT_TAG:
                yield str(tag.get("value"))


def _compare(comparison: Comparison, value: float | str) -> bool:
    word, wanted = comparison.operator, comparison.value
    if word in _LISTS:
        return (value in wanted) == (word == "IN") if isinstance(wanted, tuple) else False
    if isinstance(wanted, str) and isinstance(value, str):
        if word in ("LIKE", "ILIKE"):
            return _like(wanted, ignore_case=word == "ILIKE").fullmatch(value) is not None
        return (value == wanted) == (word == "=")
    if isinstance(wanted, (int, float)) and isinstance(value, (int, float)):
        return _COMPARE[word](value, wanted)
    return False


def _like(pattern: str, *, ignore_case: bool) -> re.Pattern[str]:
    """Return the expression for a LIKE pattern: % is any text, _ any character."""
    expression = "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in pattern)
    return re.compile(expression, re.DOTALL | (re.IGNORECASE if ignore_case else 0))
