"""MLflow's own migrations, up to a revision and no further: the one place that knows private names of MLflow.

Used of it: ``store.tracking.dbmodels.initial_models.Base`` (the tables before the first migration),
``store.db.utils._get_alembic_config`` (where the migrations are) and ``store.db.base_sql_model.Base`` (all tables of
the newest revision), found in all releases from 2.9 on; and where the migrations of users and permissions are, found
from 3.6 on (`families`). MLflow's ``env.py`` is not run: we run the migrations on our
own connection, inside its transaction, with the revision in a table of ours.
"""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from mlflow_archive.errors import UnsupportedError
from mlflow_archive.tracking.database.exact.families import OF_TRACKING_SERVER, Family
from mlflow_archive.tracking.database.revisions import RELEASES

#: Alembic's context is one for the whole process.
_alone = threading.Lock()


def require(revision: str, *, made_by: str, family: Family = OF_TRACKING_SERVER) -> None:
    """Raise unless the installed MLflow can make this schema.

    Args:
        revision: Of the archive's rows.
        made_by: The first MLflow release that has it, as far as the archive knows.
        family: Whose rows they are.

    Raises:
        UnsupportedError: The installed MLflow is too old; the sentence says what to install.
    """
    version = installed_version()
    if int(version.partition(".")[0]) < 3:
        raise UnsupportedError(
            f"An exact restore needs MLflow 3 or later, and {version} is installed: pip install 'mlflow>=3'.",
            code="mlflow_version",
        )
    if not _knows(revision, family):
        release = RELEASES.get(revision, made_by)
        raise UnsupportedError(
            f"The archive's tables are of a newer MLflow ({release}, revision {revision}) than the installed "
            f"{version}: pip install 'mlflow>={release}'.",
            code="newer_schema",
        )


def require_for_objects(revision: str) -> None:
    """Raise unless the installed MLflow can make the schema that rows are made for where an archive has none.

    Raises:
        UnsupportedError: The installed MLflow is too old; the sentence says what to install.
    """
    version = installed_version()
    if int(version.partition(".")[0]) < 3 or not _knows(revision):
        release = RELEASES[revision]
        raise UnsupportedError(
            f"An exact restore from objects, of an archive made over the API or of a part of one, makes the tables of "
            f"MLflow {release}, and {version} is installed: pip install 'mlflow>={release}'.",
            code="mlflow_version",
        )


def installed_version() -> str:
    """Return the version of the installed MLflow."""
    from mlflow.version import VERSION

    return str(VERSION)


def head(family: Family = OF_TRACKING_SERVER) -> str:
    """Return the newest revision that the installed MLflow knows."""
    return str(_script(family).get_current_head())


def create(connection: sa.Connection, revision: str, family: Family = OF_TRACKING_SERVER) -> None:
    """Make MLflow's tables as they were at a revision, in a database without any."""
    family.create_first(connection)
    upgrade(connection, revision, family)


def upgrade(connection: sa.Connection, revision: str, family: Family = OF_TRACKING_SERVER) -> None:
    """Run MLflow's migrations up to a revision, on this connection and in its transaction.

    Where the database allows it, all of them happen or none.
    """
    from alembic.runtime.environment import EnvironmentContext

    script = _script(family)

    def revisions(current: Any, _context: Any) -> Any:
        return script._upgrade_revs(revision, current)

    context = EnvironmentContext(family.config(), script, fn=revisions, destination_rev=revision)
    with _alone, _silent(script), context as env:
        env.configure(
            connection=connection,
            target_metadata=family.metadata(),
            render_as_batch=True,
            version_table=family.names.revision_table,
        )
        with env.begin_transaction():
            env.run_migrations()


def reflected(connection: sa.Connection, family: Family = OF_TRACKING_SERVER) -> dict[str, sa.Table]:
    """Return MLflow's tables as they are in the database now, those that others refer to first."""
    metadata = sa.MetaData()
    names = family.known_among(sa.inspect(connection).get_table_names())
    with warnings.catch_warnings():
        # Of cycles between tables: their order does not matter, as no key is enforced while rows come.
        warnings.simplefilter("ignore", sa.exc.SAWarning)
        metadata.reflect(connection, only=sorted(names))
        return {table.name: table for table in metadata.sorted_tables}


def _knows(revision: str, family: Family = OF_TRACKING_SERVER) -> bool:
    from alembic.util.exc import CommandError

    try:
        found = _script(family).get_revision(revision) if revision else None
    except CommandError:
        return False
    # Alembic also takes the beginning of one, and words such as "heads", which mean another schema with each MLflow.
    return found is not None and str(found.revision) == revision


def _script(family: Family) -> Any:
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(family.config())


@contextmanager
def _silent(script: Any) -> Iterator[None]:
    """Keep the words of alembic and of the migrations from whoever reads our output; afterwards all is as before."""
    names = ["alembic.runtime.migration", "alembic.ddl.impl"]
    names += [str(revision.module.__name__) for revision in script.walk_revisions()]
    loggers = [logging.getLogger(name) for name in names]
    for logger in loggers:
        logger.addFilter(_nothing)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger in loggers:
            logger.removeFilter(_nothing)


def _nothing(_record: logging.LogRecord) -> bool:
    return False
