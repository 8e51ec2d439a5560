"""Names with the signs of a glob in them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_archive.spec.patterns import exactly, matches, plain_name

names = st.text(alphabet="ab*?[]!-", max_size=8)


@pytest.mark.parametrize("name", ["plain", "a*", "what?", "a[1]", "[", "[[]", "]", "a[*]b"])
def test_a_name_can_be_asked_for_exactly(name):
    assert matches(name, exactly(name))
    assert plain_name(exactly(name)) == name


@given(names, names)
def test_an_exact_pattern_matches_no_other_name(name, other):
    assert matches(other, exactly(name)) == (other == name)
    assert plain_name(exactly(name)) == name


@pytest.mark.parametrize(("pattern", "name"), [("iris", "iris"), ("iri*", None), ("a[12]", None), ("a[[]1]", "a[1]")])
def test_a_glob_is_no_name(pattern, name):
    assert plain_name(pattern) == name
