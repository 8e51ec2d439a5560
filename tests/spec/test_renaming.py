"""Names at a target."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.renaming import Renaming


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("/Users/me", "/Users/you"),
        ("/Users/me/iris", "/Users/you/iris"),
        ("/Users/me/Users/me/x", "/Users/you/Users/me/x"),
        ("/Users/megan", "/Users/megan"),
        ("/Users/me@example.com/iris", "/Users/me@example.com/iris"),
        ("/Users/me.old/iris", "/Users/me.old/iris"),
        ("/Shared/Users/me", "/Shared/Users/me"),
        ("dev_iris", "prod_iris"),
        ("dev.ml.iris", "prod.ml.iris"),
        ("developer", "developer"),
        ("iris", "flowers"),
        ("iris/2", "flowers/2"),
        ("irises", "irises"),
        ("", ""),
    ],
)
def test_a_rule_is_about_a_name_and_what_is_below_it(name: str, expected: str) -> None:
    text = "/Users/me,/Users/you\ndev_,prod_\ndev,prod\niris,flowers\n"
    assert Renaming.from_file(text).rename(name) == expected


def test_exact_names_come_before_rules_and_the_first_rule_that_fits_is_taken() -> None:
    renaming = Renaming.from_file("a/,b/\na/x,c\na/x/y,d\n")
    assert renaming.rename("a/x") == "c"
    assert renaming.rename("a/x/y") == "d"
    assert renaming.rename("a/x/z") == "b/x/z"
    assert renaming.with_names({"a/x": "e"}).rename("a/x") == "e"


def test_a_mapping_is_exact_names() -> None:
    renaming = Renaming.of({"iris": "flowers"})
    assert [renaming.rename(name) for name in ("iris", "iris/2")] == ["flowers", "iris/2"]
    assert Renaming.of(renaming) is renaming
    assert Renaming.of(None) == Renaming()


def test_a_file_is_csv() -> None:
    text = '\ufeff"one, two",three\r\n\r\n  a b , c d  \r\n"say ""hi""", hi\r\n'
    renaming = Renaming.from_file(text)
    assert dict(renaming.exact) == {"one, two": "three", "a b": "c d", 'say "hi"': "hi"}
    assert Renaming.from_file("") == Renaming()


def test_the_same_line_twice_does_no_harm() -> None:
    assert dict(Renaming.from_file("a,b\na,b\n").exact) == {"a": "b"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("a,b\nc\n", r"^Line 2 of the rename file is not of the form old,new"),
        ("a,b,c\n", r"^Line 1 of the rename file is not of the form old,new"),
        ("\na,\n", r"^Line 2 of the rename file is not of the form old,new"),
        (",a\n", r"^Line 1 of the rename file is not of the form old,new"),
        ("a,b\na,c\n", r"^Line 2 of the rename file renames 'a' a second time, to another name\.$"),
        ('"a"b,c\n', r"^Line 1 of the rename file is not CSV"),
        ('"a,b\n', r"^Line 1 of the rename file is not CSV"),
    ],
)
def test_a_bad_line_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(UsageError, match=sentence):
        Renaming.from_file(text)


@given(st.text(min_size=1), st.text(min_size=1), st.text())
def test_nothing_changes_what_is_not_below_the_old_name(old: str, new: str, name: str) -> None:
    renamed = Renaming(prefixes=((old, new),)).rename(name)
    assert renamed == name or (name.startswith(old) and renamed == new + name[len(old) :])
