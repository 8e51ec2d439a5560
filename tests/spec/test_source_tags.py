"""What an object was at its source, as tags."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_archive.spec.provenance import SOURCE_TAG_PREFIXES, is_provenance, is_source_tag
from mlflow_archive.spec.source_tags import Origin, from_tags, to_tags

RUN = Origin({"run_id": "r1", "start_time": "1700000000123"}, {"mlflow.user": "ada", "mlflow.source.mlflow.x": "y"})
VERSION = Origin({"version": "3", "creation_timestamp": "1700000000000"})
PREFIXES = list(SOURCE_TAG_PREFIXES.values())


def test_each_prefix_has_its_layout() -> None:
    assert to_tags(RUN, "mlflow_archive.source.", of_run=True) == {
        "mlflow_archive.source.run_id": "r1",
        "mlflow_archive.source.start_time": "1700000000123",
        "mlflow_archive.source.mlflow.user": "ada",
        "mlflow_archive.source.mlflow.source.mlflow.x": "y",
    }
    assert to_tags(RUN, "mlflow_exim.", of_run=True) == {
        "mlflow_exim.run_info.run_id": "r1",
        "mlflow_exim.run_info.start_time": "1700000000123",
        "mlflow_exim.run_info._start_time": "2023-11-14 22:13:20",
        "mlflow_exim.mlflow_tag.user": "ada",
        "mlflow_exim.mlflow_tag.source.mlflow.x": "y",
    }
    assert to_tags(RUN, "mlflow_export_import.", of_run=True) == {
        "mlflow_export_import.run_info.run_id": "r1",
        "mlflow_export_import.run_info.start_time": "1700000000123",
        "mlflow_export_import.mlflow.user": "ada",
        "mlflow_export_import.mlflow.source.mlflow.x": "y",
    }
    assert to_tags(VERSION, "mlflow_exim.", of_run=False) == {
        "mlflow_exim.field.version": "3",
        "mlflow_exim.field.creation_timestamp": "1700000000000",
        "mlflow_exim.field._creation_timestamp": "2023-11-14 22:13:20",
    }
    assert to_tags(VERSION, "mlflow_export_import.", of_run=False) == {
        "mlflow_export_import.src.version": "3",
        "mlflow_export_import.src.creation_timestamp": "1700000000000",
        "mlflow_export_import.src._creation_timestamp_utc": "2023-11-14 22:13:20",
    }


names = st.from_regex(r"[a-z][a-z_]{0,9}", fullmatch=True)


@given(
    st.dictionaries(names, st.text(), min_size=1),
    st.dictionaries(names.map(lambda name: f"mlflow.{name}"), st.text()),
    st.sampled_from(PREFIXES),
    st.booleans(),
)
def test_what_is_written_is_read_back(fields: dict[str, str], tags: dict[str, str], prefix: str, of_run: bool) -> None:
    origin = Origin(fields, tags)
    written = to_tags(origin, prefix, of_run=of_run)
    assert all(is_source_tag(name) for name in written)
    assert from_tags({"team": "blue", **written}, of_run=of_run) == (prefix, origin)


@pytest.mark.parametrize(
    "tags",
    [
        {},
        {"mlflow.user": "ada", "mlflow_archive.source_id": "r1"},
        {"mlflow_exim.src_version.name": "m", "mlflow_exim.mlflow_tag.user": "ada"},
        {"mlflow_export_import.metadata.tracking_uri": "http://a"},
        {"mlflow_exim.run_info._start_time": "2023-11-14 22:13:20"},
    ],
)
def test_tags_without_a_field_tell_no_origin(tags: dict[str, str]) -> None:
    assert from_tags(tags, of_run=True) is None


def test_of_several_ours_is_read() -> None:
    tags = {"mlflow_exim.run_info.run_id": "a", "mlflow_archive.source.run_id": "b"}
    assert from_tags(tags, of_run=True) == ("mlflow_archive.source.", Origin({"run_id": "b"}))


def test_a_time_that_is_none_is_not_made_readable() -> None:
    origin = Origin({"start_time": "soon", "end_time": "9" * 30})
    assert to_tags(origin, "mlflow_exim.", of_run=True) == {
        "mlflow_exim.run_info.start_time": "soon",
        "mlflow_exim.run_info.end_time": "9" * 30,
    }


def test_ours_are_provenance_and_the_others_are_not() -> None:
    assert [is_provenance(prefix) for prefix in PREFIXES] == [True, False, False]
