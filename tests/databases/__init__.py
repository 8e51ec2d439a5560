"""Real database servers for tests, of Debian's packages: private, started in seconds, stopped for sure.

`tests.databases.fixtures` gives them to every test.
"""

from tests.databases.mariadb import MariaDB
from tests.databases.postgresql import PostgreSQL
from tests.databases.private import DatabaseServerError, PrivateServer
from tests.databases.sqlite import SqliteFiles

__all__ = ["DatabaseServerError", "MariaDB", "PostgreSQL", "PrivateServer", "SqliteFiles"]
