"""The tables of a database, as ls, show and diff tell of them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from mlflow_archive.cli.document import rendered
from mlflow_archive.cli.main import cli
from tests.spec.building import Builder
from tests.spec.worlds import database, experiment


@pytest.fixture
def archive(tmp_path: Path) -> str:
    for path, data in Builder([database(), experiment()]).build().items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(data)
    return str(tmp_path)


def said(*words: str) -> str:
    result = CliRunner().invoke(cli, words)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_ls_names_dialect_and_revision(archive: str) -> None:
    assert re.search(r"^1 database, .*\n  tracking  postgresql dc11669786a5 .*, 1 file", said("ls", archive), re.M)


def test_show_names_the_tables_that_have_rows(archive: str) -> None:
    text = said("show", archive, "tracking")
    assert re.search(r"^  revision +dc11669786a5$", text, re.M)
    assert re.search(
        r"^tables: 1, of which 1 have rows\n  name .*\n  webhooks +1 +2 +\d+ B  without webhook-", text, re.M
    )
    assert "alembic_version" in text
    assert text.count("webhooks") == 1


def test_show_names_a_table_that_was_lost() -> None:
    thing = database()
    document = {"kind": "database", "id": "tracking", "record": thing.record}
    assert re.search(r"webhooks +1 +2 +lost", rendered(document))


def test_diff_says_what_it_did_not_compare(archive: str) -> None:
    assert "Note: Both sides have the tables of a database" in said("diff", archive, archive)
