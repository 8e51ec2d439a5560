"""Names and paths: the escape as the specification's table has it, undone, and safe for any name."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.paths import check_path, escape_path, escape_segment, unescape_segment
from tests.spec.make_vectors import VECTORS

names = st.text(st.characters(codec="utf-8"), max_size=300)


def test_the_table_of_the_specification_is_true() -> None:
    text = (VECTORS.parent / "archive.md").read_text(encoding="utf-8")
    table = text.partition("| Name | Segment |")[2].partition("\n\n")[0]
    rows = re.findall(r"^\| `(.+?)`( \(.+\))? \| `(.+)` \|$", table, flags=re.MULTILINE)
    assert len(rows) == 10
    for name, remark, segment in rows:
        form = "NFD" if "form D" in remark else "NFC"
        assert escape_segment(unicodedata.normalize(form, name)) == segment
    shortened = escape_segment("\u00fc" * 150)
    assert f"75 times `\u00fc`, then `{shortened[75:]}`" in table
    assert escape_segment("") == "%"


@given(names)
def test_every_name_becomes_a_segment_and_comes_back(name: str) -> None:
    segment = escape_segment(name)
    assert check_path(segment) == segment
    assert "/" not in segment
    assert unescape_segment(segment) == (None if "~" in segment else name)


@given(st.lists(names, min_size=2, max_size=2, unique=True))
def test_two_names_never_share_a_segment(pair: list[str]) -> None:
    assert escape_segment(pair[0]) != escape_segment(pair[1])


@given(st.lists(names, min_size=1, max_size=8).map("/".join))
def test_every_artifact_path_becomes_a_path(name: str) -> None:
    assert check_path(escape_path(name)) == escape_path(name)


@pytest.mark.parametrize(
    "path",
    [
        *["", "/a", "a/", "a//b", ".", "..", "a/../b", "a\\b", "C:/a", "a\0b", "nul", "a/COM1.txt", "a.", "a ", "a#b"],
        *["cafe\u0301", "x" * 256, "x/" * 501 + "x", "a\ud800", "a\nb", "a?b"],
    ],
)
def test_unsafe_paths_are_refused(path: str) -> None:
    with pytest.raises(IntegrityError, match="E020") as caught:
        check_path(path)
    assert [problem.rule for problem in caught.value.problems] == ["E020"]
