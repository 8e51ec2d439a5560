"""The vectors are what the script makes, and the verifier says of each exactly what it should."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from mlflow_archive.operations.verify import verify_at
from mlflow_archive.spec.rules import RULES, Level
from tests.spec.make_vectors import VECTORS, files

FOLDERS = sorted(path.parent for path in VECTORS.glob("*/*/expect.json"))
LEVELS: tuple[Level, ...] = ("complete", "valid", "restorable")
#: A rule for writers: its vector is an archive that a rewriting tool must not impoverish.
FOR_WRITERS = {"E014": "valid/unknown-fields"}


def label(folder: Path) -> str:
    return f"{folder.parent.name}/{folder.name}"


def test_the_committed_vectors_are_what_the_script_makes() -> None:
    committed = {
        path.relative_to(VECTORS).as_posix(): path.read_bytes() for path in VECTORS.rglob("*") if path.is_file()
    }
    made = files()
    assert sorted(committed) == sorted(made)
    assert [path for path, data in made.items() if committed[path] != data] == []
    assert sum(map(len, committed.values())) < 1 << 20


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize("folder", FOLDERS, ids=label)
def test_the_verifier_finds_exactly_the_expected_rules(folder: Path, level: Level) -> None:
    expected = json.loads((folder / "expect.json").read_bytes())
    report = verify_at(str(folder / expected.get("archive", "archive")), level, digest=expected.get("digest"))
    found = [*report.problems, *report.warnings]
    noticed = LEVELS.index(level) >= LEVELS.index(expected["level"])
    wanted = expected["rules"] if noticed else []
    assert sorted({finding.rule for finding in found}) == wanted, [str(finding) for finding in found]
    assert report.ok == (folder.parent.name != "invalid" or not noticed)
    assert (report.error() is None) == report.ok
    assert report.root_digest in (expected.get("root_digest"), "")


def test_every_rule_has_a_vector_and_every_vector_a_rule() -> None:
    named = {folder.name.split("-")[0] for folder in FOLDERS if folder.parent.name != "valid"}
    assert named | set(FOR_WRITERS) == set(RULES)
    assert all((VECTORS / folder).is_dir() for folder in FOR_WRITERS.values())


def test_the_table_in_the_specification_is_the_table_in_the_code() -> None:
    text = (VECTORS.parent / "rules.md").read_text(encoding="utf-8")
    rows = re.findall(r"^\| ([EW]\d{3}) \| (\w+) \| (.+) \|$", text, flags=re.MULTILINE)
    assert [tuple(row) for row in rows] == [(rule.id, rule.level, rule.sentence) for rule in RULES.values()]


def test_every_rule_that_the_code_names_is_in_the_table() -> None:
    package = Path(__file__).parents[2] / "mlflow_archive"
    texts = [path.read_text(encoding="utf-8") for path in package.rglob("*.py")]
    named = {code for text in texts for code in re.findall(r"\b[EW]0\d\d\b", text)}
    assert named <= set(RULES), named - set(RULES)
