"""What an object was at its source, as tags of the object at a target: written on request, read back from anywhere.

Three layouts are known, by the prefix of their tags (`provenance.SOURCE_TAG_PREFIXES`):

========================  ==========================  ===============================  =========================
of                        ``mlflow_archive.source.``  ``mlflow_exim.``                 ``mlflow_export_import.``
========================  ==========================  ===============================  =========================
a field of a run          ``<field>``                 ``run_info.<field>``             ``run_info.<field>``
a field of anything else  ``<field>``                 ``field.<field>``                ``src.<field>``
a tag ``mlflow.<rest>``   ``mlflow.<rest>``           ``mlflow_tag.<rest>``            ``mlflow.<rest>``
a time, for people (UTC)  -                           ``run_info._``, ``field._`` ...  ``src._<field>_utc``
========================  ==========================  ===============================  =========================

Fields have MLflow's names; times are milliseconds since the epoch. Tags of these prefixes tell the *origin* of an
object, the first source it had: whoever moves it on keeps them as they are and writes none around them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timezone

from mlflow_archive.spec.provenance import SOURCE_TAG_PREFIXES

_OURS, _EXIM, _LEGACY = SOURCE_TAG_PREFIXES.values()
_MLFLOW = "mlflow."
#: Behind each prefix: where fields of a run, fields of anything else and MLflow's own tags stand.
_PLACES = {
    _OURS: ("", "", _MLFLOW),
    _EXIM: ("run_info.", "field.", "mlflow_tag."),
    _LEGACY: ("run_info.", "src.", _MLFLOW),
}
TIMES = frozenset(
    {
        "start_time",
        "end_time",
        "creation_time",
        "last_update_time",
        "creation_timestamp",
        "last_updated_timestamp",
    }
)


@dataclass(frozen=True, slots=True)
class Origin:
    """What an object was at its source.

    Attributes:
        fields: MLflow's name of a field -> its value as text.
        tags: Its tags that begin with ``mlflow.``.
    """

    fields: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)


def to_tags(origin: Origin, prefix: str, *, of_run: bool) -> dict[str, str]:
    """Return the tags that tell an origin, in the layout of a prefix."""
    run_place, other_place, tag_place = _PLACES[prefix]
    place = prefix + (run_place if of_run else other_place)
    written = {place + name: value for name, value in origin.fields.items()}
    written |= {prefix + tag_place + name.removeprefix(_MLFLOW): value for name, value in origin.tags.items()}
    if prefix == _EXIM:
        written |= {f"{place}_{name}": value for name, value in _readable(origin)}
    elif prefix == _LEGACY and not of_run:
        written |= {f"{place}_{name}_utc": value for name, value in _readable(origin)}
    return written


def from_tags(tags: Mapping[str, str], *, of_run: bool) -> tuple[str, Origin] | None:
    """Return the origin that an object's tags tell, and the prefix it stands under; None if they tell none.

    If there are several, they are of the same origin; ours is the one that is read.
    """
    for prefix in _PLACES:
        fields, own = {}, {}
        for name, value in tags.items():
            if name.startswith(prefix):
                rest = name[len(prefix) :]
                if (found := _tag(rest, prefix)) is not None:
                    own[found] = value
                elif (found := _field(rest, prefix, of_run=of_run)) is not None:
                    fields[found] = value
        if fields:
            return prefix, Origin(fields, own)
    return None


def _tag(rest: str, prefix: str) -> str | None:
    place = _PLACES[prefix][2]
    return _MLFLOW + rest.removeprefix(place) if rest.startswith(place) else None


def _field(rest: str, prefix: str, *, of_run: bool) -> str | None:
    place = _PLACES[prefix][0 if of_run else 1]
    name = rest.removeprefix(place)
    # An underscore begins what was made for people out of a field.
    return name if rest.startswith(place) and name and not name.startswith("_") else None


def _readable(origin: Origin) -> Iterator[tuple[str, str]]:
    for name, value in origin.fields.items():
        # Thirteen digits reach to the year 2286, and any more may be none of a date.
        if name in TIMES and value.isdecimal() and 0 < len(value) <= 13:
            yield name, datetime.fromtimestamp(int(value) // 1000, tz=timezone.utc).strftime("%Y-%m-%d %H:%M:%S")
