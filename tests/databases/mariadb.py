"""MariaDB, private to the suite: the dialect ``mysql``."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from functools import partial
from typing import Any
from urllib.parse import quote

from tests.databases.private import PASSWORD, USER, PrivateServer, needed

#: Durability costs time and is of no use to data that is thrown away.
FAST = [
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-doublewrite=0",
    "--innodb-flush-method=nosync",
    "--skip-log-bin",
]
SMALL = ["--innodb-buffer-pool-size=64M", "--innodb-log-file-size=32M", "--performance-schema=off"]
NEAR = ["--bind-address=127.0.0.1", "--skip-name-resolve", "--socket=mariadb.sock", "--pid-file=mariadb.pid"]


#: What MariaDB takes where nobody chooses.
DEFAULT = "utf8mb4_general_ci"
#: Every difference counts: capital letters, accents, blanks at the end.
EXACT = "utf8mb4_nopad_bin"


class MariaDB(PrivateServer):
    """A MariaDB server whose databases are of utf8mb4, which tells no capital letters from small ones."""

    dialect = "mysql"

    def new_database(self, collation: str = DEFAULT) -> str:
        name = self._next_name()
        with self._administrator() as cursor:
            cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE {collation}")
            cursor.execute(f"GRANT ALL PRIVILEGES ON `{name}`.* TO '{USER}'@'127.0.0.1'")
        return f"mysql+pymysql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{name}"

    def copy(self, uri: str) -> str:
        origin = self._name_of(uri)
        with self._administrator() as cursor:
            schema = "SELECT default_collation_name FROM information_schema.schemata WHERE schema_name = %s"
            cursor.execute(schema, (origin,))
            made = self.new_database(cursor.fetchone()[0])
            cursor.execute("SET foreign_key_checks = 0")
            cursor.execute("SET sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO')")
            cursor.execute(f"SHOW FULL TABLES FROM `{origin}` WHERE Table_type = 'BASE TABLE'")
            tables = [name for name, _ in cursor.fetchall()]
            cursor.execute(f"USE `{self._name_of(made)}`")
            for table in tables:
                cursor.execute(f"SHOW CREATE TABLE `{origin}`.`{table}`")
                cursor.execute(cursor.fetchone()[1])
                cursor.execute(f"INSERT INTO `{table}` SELECT * FROM `{origin}`.`{table}`")
        return made

    def drop_database(self, uri: str) -> None:
        import pymysql

        name = self._name_of(uri)
        with self._administrator() as cursor:
            cursor.execute("SELECT id FROM information_schema.processlist WHERE db = %s", (name,))
            for (number,) in cursor.fetchall():
                # Who is gone by now cannot be sent away.
                with suppress(pymysql.err.OperationalError):
                    cursor.execute(f"KILL {number}")
            cursor.execute(f"DROP DATABASE `{name}`")

    def _make(self) -> None:
        make = [needed("mariadb-install-db"), "--no-defaults", f"--datadir={self._data}", "--skip-test-db"]
        needed("my_print_defaults")
        self._run([*make, "--auth-root-authentication-method=normal", "--skip-name-resolve", *FAST, *SMALL])

    def _command(self) -> list[str]:
        where = [f"--datadir={self._data}", f"--port={self.port}", "--character-set-server=utf8mb4"]
        return [str(needed("mariadbd")), "--no-defaults", *where, *NEAR, *FAST, *SMALL]

    def _prepare(self) -> None:
        import pymysql

        try:
            with self._administrator() as cursor:
                cursor.execute(f"CREATE USER '{USER}'@'127.0.0.1' IDENTIFIED BY '{PASSWORD}'")
        except pymysql.err.OperationalError as error:
            raise ConnectionError(str(error)) from error

    def _end(self) -> None:
        with suppress(ProcessLookupError, OSError, ValueError):
            os.kill(int((self._data / "mariadb.pid").read_text()), signal.SIGKILL)

    @contextmanager
    def _administrator(self) -> Iterator[Any]:
        import pymysql

        options = {"charset": "utf8mb4", "autocommit": True, "connect_timeout": 10}
        with (
            closing(pymysql.connect(host="127.0.0.1", port=self.port, user="root", **options)) as connection,
            connection.cursor() as cursor,
        ):
            yield cursor


class ExactMariaDB:
    """The same server, whose databases here tell every text from every other, as SQLite and PostgreSQL do."""

    dialect = MariaDB.dialect

    def __init__(self, server: MariaDB) -> None:
        self.new_database = partial(server.new_database, EXACT)
        self.copy = server.copy
        self.drop_database = server.drop_database
