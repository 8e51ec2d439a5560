"""Listings of a server that changes while it is listed."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import IntegrityError, UnavailableError
from mlflow_archive.tracking.paging import each_once, finite, integer, mapping, number, pages
from tests.tracking.sources.fake import FakeServer


def test_follows_tokens_to_the_end():
    answers = {"": {"rows": [1], "next_page_token": "a"}, "a": {"rows": [2], "next_page_token": ""}}
    server = FakeServer({"POST /x": lambda request: answers[request.get("page_token", "")]})
    assert [page["rows"] for page in pages(server, "POST", "/x", {"n": 1})] == [[1], [2]]
    assert server.asked == [("/x", {"n": 1}), ("/x", {"n": 1, "page_token": "a"})]


def test_a_token_that_comes_again_is_an_error_and_not_an_endless_loop():
    server = FakeServer({"GET /x": lambda request: {"next_page_token": "same"}})
    with pytest.raises(UnavailableError) as caught:
        list(pages(server, "GET", "/x", {}))
    assert caught.value.code == "paging"


def test_a_row_skipped_by_a_shifted_offset_is_found_in_the_next_walk():
    walks = [[["a", "b"], ["d"]], [["a", "b"], ["c", "d"]], [["a", "b"], ["c", "d"]]]
    done = []

    def walk():
        done.append(1)
        return iter([[{"id": id} for id in page] for page in walks[len(done) - 1]])

    assert [row["id"] for row in each_once(walk, lambda row: row["id"])] == ["a", "b", "d", "c"]
    assert len(done) == 3


def test_a_repeated_row_comes_once_and_one_page_needs_no_second_walk():
    done = []

    def walk():
        done.append(1)
        return iter([[{"id": "a"}, {"id": "a"}]])

    assert len(list(each_once(walk, lambda row: row["id"]))) == 1
    assert len(done) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, 0.0),
        (1.5, 1.5),
        ("NaN", "NaN"),
        (float("nan"), "NaN"),
        ("-Infinity", "-Infinity"),
        (float("inf"), "Infinity"),
    ],
)
def test_numbers_of_both_spellings(given, expected):
    assert number(given) == expected


def test_values_left_out_by_protobuf_come_back():
    assert mapping([{"key": "a", "value": "1"}, {"key": "b"}]) == {"a": "1", "b": ""}
    assert finite({"a": [float("nan"), 1.0]}) == {"a": ["NaN", 1.0]}


def test_empty_pages_without_an_end_are_an_error():
    server = FakeServer({"GET /x": lambda request: {"rows": [], "next_page_token": str(len(server.asked))}})
    with pytest.raises(UnavailableError, match="for ever"):
        list(pages(server, "GET", "/x", {}))


@pytest.mark.parametrize(("read", "value"), [(number, "zzz"), (number, 10**400), (integer, "q"), (integer, 1e999)])
def test_what_is_no_number_is_an_error_of_one_object_and_not_of_the_program(read, value):
    with pytest.raises(IntegrityError, match="where a number belongs"):
        read(value)
