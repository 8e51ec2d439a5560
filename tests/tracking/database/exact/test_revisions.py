"""A revision is one by its whole name alone, whatever alembic takes for one."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import UnsupportedError
from mlflow_archive.tracking.database.exact import schema
from mlflow_archive.tracking.database.revisions import RELEASES


@pytest.mark.parametrize("revision", ["", "base", "head", "heads", "dc11", "-1", "dc11669786a5-1", "a:b", "../../x"])
def test_what_names_no_revision_is_refused(revision):
    with pytest.raises(UnsupportedError) as error:
        schema.require(revision, made_by="3.17")
    assert error.value.code == "newer_schema"


def test_the_oldest_and_the_newest_revision_are_known():
    schema.require(next(iter(RELEASES)), made_by="2.9")
    schema.require(schema.head(), made_by="3.17")
