"""What must hold for any name and any value."""

from __future__ import annotations

import json
import math
import uuid

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.archive.writer import ArchiveWriter
from mlflow_archive.errors import IntegrityError
from mlflow_archive.spec.canonical import decode_float, document_bytes, encode_float, line_bytes, parse
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.paths import check_path, escape_path, escape_segment, unescape_segment
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.opening import open_store
from tests.archive.fakes import move, sample_source

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
_PIECES = [*'ab./\\%~# :*?"<>|\0\n\x7fäÅ🙂é', "con", "nul", "..", "%41", "e\u0301"]
NASTY = st.lists(st.sampled_from(_PIECES), max_size=12).map("".join)
NAMES = st.one_of(TEXT, NASTY, st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False, allow_infinity=False), TEXT),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(TEXT, inner, max_size=4)),
    max_leaves=20,
)


@given(NAMES)
def test_a_segment_is_safe_and_can_be_undone(name):
    segment = escape_segment(name)
    assert check_path(segment) == segment
    assert "/" not in segment
    assert unescape_segment(segment) in (name, None)
    if len(name.encode()) < 60:
        assert unescape_segment(segment) == name


@given(NAMES, NAMES)
def test_two_names_have_two_segments(one, other):
    assert (escape_segment(one) == escape_segment(other)) == (one == other)


@given(NAMES)
def test_a_path_is_safe(name):
    path = escape_path(name)
    assert check_path(path) == path
    assert check_path(f"experiments/1/runs/{'a' * 32}/artifacts/{path}")


@given(st.text(max_size=40))
def test_an_accepted_path_stays_below_the_root(path):
    try:
        check_path(path)
    except IntegrityError:
        return
    assert not path.startswith("/")
    assert not {"", ".", ".."} & set(path.split("/"))
    assert "\\" not in path
    assert ":" not in path


@given(VALUES)
def test_json_comes_back_and_is_always_the_same(value):
    for encode in (document_bytes, line_bytes):
        data = encode(value)
        assert parse(data, "x") == value
        assert encode(parse(data, "x")) == data
        assert data.endswith(b"\n")
        assert json.loads(data) == value
    assert line_bytes(value).count(b"\n") == 1


@given(st.dictionaries(TEXT, st.integers(), min_size=2, max_size=6))
def test_json_does_not_depend_on_the_order_of_keys(value):
    turned = dict(reversed(value.items()))
    assert document_bytes(value) == document_bytes(turned)


@given(st.floats())
def test_floats_come_back(value):
    encoded = encode_float(value)
    decoded = decode_float(json.loads(line_bytes(encoded)))
    assert decoded == value or (math.isnan(decoded) and math.isnan(value))


@settings(max_examples=40, deadline=None)
@given(st.dictionaries(NAMES, st.binary(max_size=50), max_size=8))
def test_files_of_any_name_come_back(files):
    source = sample_source(experiments=1, runs=1)
    run = next(item for item in source.objects if item.key.kind is Kind.RUN)
    run.files = {("artifacts", name): data for name, data in files.items()}
    store = open_store(f"memory://{uuid.uuid4().hex}")
    writer = ArchiveWriter.begin(store, parallelism=1)
    assert move(source, writer).losses == []
    writer.close()
    (item,) = ArchiveReader.open(store).read(Kind.RUN, Selection())
    back = {}
    for blob in item.load().blobs():
        with blob.open() as chunks:
            back[blob.name] = b"".join(chunks)
    assert back == files


@settings(max_examples=30, deadline=None)
@given(st.sets(NAMES, min_size=1, max_size=6))
def test_objects_of_any_name_come_back(names):
    source = sample_source(experiments=1, runs=1)
    prompt = next(item for item in source.objects if item.key.kind is Kind.PROMPT)
    source.objects = [
        type(prompt)(type(prompt.key)(Kind.PROMPT, name), prompt.record.model_copy(update={"name": name}))
        for name in sorted(names)
    ]
    store = open_store(f"memory://{uuid.uuid4().hex}")
    writer = ArchiveWriter.begin(store, parallelism=1)
    assert move(source, writer).losses == []
    writer.close()
    items = list(ArchiveReader.open(store).read(Kind.PROMPT, Selection()))
    assert [item.key.id for item in items] == sorted(names)
    assert {item.load().record.name for item in items} == names


@pytest.mark.parametrize("path", ["a/../b", "/a", "a\\b", "a:b", "con/x", "a /b", "a./b", "e\u0301", "x" * 256, "a\0"])
def test_paths_that_are_refused(path):
    with pytest.raises(IntegrityError, match="E020"):
        check_path(path)
