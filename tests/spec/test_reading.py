"""The plain reader of the specification works as it stands there, and so does this tool's, on every valid vector."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mlflow_archive.archive.reader import ArchiveReader
from mlflow_archive.errors import MlflowArchiveError
from mlflow_archive.spec.kinds import KIND_ORDER
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.selection import Selection
from mlflow_archive.storage.containers import open_container
from mlflow_archive.storage.opening import open_store
from tests.spec.make_vectors import VECTORS
from tests.spec.worlds import RUN

VALID = sorted(path.parent for path in VECTORS.glob("valid/*/expect.json"))
FENCE = re.compile(r"^```python\n(.*?)^```$", flags=re.MULTILINE | re.DOTALL)


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The program, straight from the text."""
    text, _ = FENCE.findall((VECTORS.parent / "reading.md").read_text(encoding="utf-8"))
    path = tmp_path_factory.mktemp("reader") / "reader.py"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def tree(folder: Path, tmp_path: Path) -> Path:
    """The vector as a tree: what is packed is unpacked by plain tar."""
    place = folder / json.loads((folder / "expect.json").read_bytes()).get("archive", "archive")
    tarballs = [place] if place.is_file() else sorted(place.glob("volumes/*"))
    if not tarballs:
        return place
    for path in place.glob("m*.json"):
        shutil.copy(path, tmp_path)
    for tarball in tarballs:
        packed = ["--zstd"] if tarball.suffix == ".zst" else ["-z"] if tarball.suffix == ".gz" else []
        subprocess.run(["tar", *packed, "-xf", tarball, "-C", tmp_path], check=True, timeout=60)
    return tmp_path


def read(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-I", "-X", "utf8", str(program), *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def test_the_plain_reader_is_short_and_needs_nothing(program: Path) -> None:
    text = program.read_text(encoding="utf-8")
    assert len([line for line in text.splitlines() if line.strip()]) < 60
    imports = re.findall(r"^import (.+)$", text, flags=re.MULTILINE)
    assert {name.strip() for names in imports for name in names.split(",")} <= sys.stdlib_module_names


@pytest.mark.parametrize("folder", VALID, ids=lambda folder: folder.name)
def test_the_plain_reader_verifies_every_valid_vector(program: Path, folder: Path, tree: Path) -> None:
    digest = json.loads((folder / "expect.json").read_bytes())["root_digest"]
    result = read(program, str(tree), digest)
    assert result.returncode == 0, result.stderr
    assert f"every byte is right; root digest {digest}" in result.stdout


def test_the_plain_reader_prints_a_run(program: Path) -> None:
    folder = VECTORS / "valid" / "small"
    digest = json.loads((folder / "expect.json").read_bytes())["root_digest"]
    result = read(program, str(folder / "archive"), digest, RUN)
    assert result.stdout.splitlines()[:-1] == [
        f'run {RUN} {{"lr": "0.1"}}',
        "metric loss 1767225600000 0 0.5",
        "metric loss 1767225601000 1 0.25",
        f"file notes.txt is experiments/1/runs/{RUN}/artifacts/notes.txt",
    ]


@pytest.mark.parametrize("name", ["E042-blob", "E042-marker", "E041-blob", "E020-parent", "E020-absolute"])
def test_the_plain_reader_stops_at_damage(program: Path, name: str) -> None:
    result = read(program, str(VECTORS / "invalid" / name / "archive"))
    assert result.returncode == 1
    assert re.search(r"damaged|leaves the archive", result.stderr)


def test_the_plain_reader_refuses_another_root_digest(program: Path) -> None:
    result = read(program, str(VECTORS / "valid" / "small" / "archive"), "0" * 64)
    assert "not the archive with this root digest" in result.stderr


@pytest.mark.parametrize("folder", VALID, ids=lambda folder: folder.name)
def test_the_reader_gives_every_object_and_byte_of_every_valid_vector(folder: Path, tree: Path) -> None:
    place = json.loads((folder / "expect.json").read_bytes()).get("archive", "archive")
    reader = ArchiveReader.open(open_container(str(folder / place)))
    counts: dict[str, int] = {}
    size = 0
    for kind in KIND_ORDER:
        for item in reader.read(kind, Selection()):
            assert not isinstance(item, Loss), item
            counts[kind.value] = counts.get(kind.value, 0) + 1
            content = item.load()
            assert all(list(part.open()) for part in content.parts)
            for blob in content.blobs():
                assert not isinstance(blob, Loss)
                with blob.open() as chunks:
                    size += sum(map(len, chunks))
    manifest = json.loads((tree / "manifest.json").read_bytes())
    assert counts == {kind: count["stored"] for kind, count in manifest["counts"].items() if count["stored"]}
    files = [path for path in tree.rglob("*") if path.is_file() and {"artifacts", "tables"} & {*path.parts}]
    assert size == sum(path.stat().st_size for path in files)


def test_the_tables_are_read_in_a_few_lines(tmp_path: Path) -> None:
    _, text = FENCE.findall((VECTORS.parent / "reading.md").read_text(encoding="utf-8"))
    assert len([line for line in text.splitlines() if line.strip()]) <= 10
    (tmp_path / "tables.py").write_text(text, encoding="utf-8")
    result = read(tmp_path / "tables.py", str(VECTORS / "valid" / "every-kind" / "archive"))
    assert result.stdout.splitlines() == [
        "postgresql dc11669786a5",
        "webhooks.parquet 1 rows ['webhook_id', 'secret']",
    ], result.stderr


RULES_OF_READING = ["E001", "E002", "E003", "E005", "E010", "E011", "E012", "E013", "E020", "E040", "E041", "E042"]
ALSO = {"E004-read-feature", "E015-document", "E015-record", "E021-blob"}
#: Right digest, and a last line that is whole but for its newline: a reader may take it.
TOLERATED = {"E010-no-newline"}
UNREADABLE = sorted(
    path.parent
    for path in VECTORS.glob("invalid/*/expect.json")
    if path.parent.name[:4] in RULES_OF_READING or path.parent.name in ALSO
    if path.parent.name not in TOLERATED
)


@pytest.mark.parametrize("folder", UNREADABLE, ids=lambda folder: folder.name)
def test_the_reader_does_not_pass_on_what_is_damaged(folder: Path) -> None:
    """Each is refused, or comes out as a loss, or raises before the damaged file has come to its end."""
    refused = 0
    try:
        reader = ArchiveReader.open(open_store(str(folder / "archive")))
        for kind in KIND_ORDER:
            for item in reader.read(kind, Selection()):
                if isinstance(item, Loss):
                    refused += 1
                    continue
                content = item.load()
                for part in content.parts:
                    list(part.open())
                for blob in content.blobs():
                    if isinstance(blob, Loss):
                        refused += 1
                        continue
                    with blob.open() as chunks:
                        list(chunks)
    except MlflowArchiveError:
        refused += 1
    assert refused
