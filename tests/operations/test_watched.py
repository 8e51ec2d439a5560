"""Whose fault an error is."""

from __future__ import annotations

from threading import Event

from mlflow_archive.errors import UnavailableError
from mlflow_archive.operations.watched import WatchedItem
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.stream import Content, Item, ObjectKey


def test_a_ring_of_errors_is_walked_once() -> None:
    # One failure that several threads raise again gets a context from each of them, which may lead back to it.
    def load() -> Content:
        raise AssertionError("not read")

    first, second, third = UnavailableError("one"), UnavailableError("two"), UnavailableError("three")
    first.__context__, second.__context__, third.__context__ = second, third, second
    watched = WatchedItem(Item(ObjectKey(kind=Kind.RUN, id="1"), load), Event())

    assert not watched.blames_source(first)
