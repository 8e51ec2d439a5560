"""The tags and the user that a run gets at the target: its own, as the operator wants them."""

from __future__ import annotations

import getpass
from functools import cache

from mlflow_archive.spec.records.run import RunRecord
from mlflow_archive.tracking.sinks.context import SinkContext, own_tags

USER = "mlflow.user"


def run_tags(context: SinkContext, record: RunRecord) -> dict[str, str]:
    """Return the tags of a run for the target, before ids in them are rewritten."""
    tags = own_tags(record.tags)
    if not context.options.keep_user and not context.is_databricks:
        tags[USER] = restoring_user()
    return tags | context.source_tags.of_run(record)


def run_user(context: SinkContext, record: RunRecord) -> str | None:
    """Return the user that a run is made with."""
    return record.info.user_id if context.options.keep_user else restoring_user()


@cache
def restoring_user() -> str:
    """Return the name of who runs this process, as the operating system knows it."""
    try:
        return getpass.getuser()
    except (KeyError, OSError, ImportError):
        return "unknown"
