"""An MLflow database, read and written by SQL: no server, and none of MLflow's stores opened on a source.

Read-only: `snapshot` (one consistent view), `client` (answers the REST calls of `mlflow_archive.tracking.sources` by
SQL), `dump` (all tables as they are). Writing: `exact` (a database with the same ids as the lost one).

SQLAlchemy, alembic and pyarrow are imported only here.
"""
