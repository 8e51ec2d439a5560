"""PostgreSQL, private to the suite."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from typing import Any
from urllib.parse import quote

from tests.databases.private import PASSWORD, USER, PrivateServer, needed

ADMINISTRATOR = "postgres"
#: Durability costs time and is of no use to data that is thrown away.
FAST = ["fsync=off", "synchronous_commit=off", "full_page_writes=off", "wal_level=minimal", "max_wal_senders=0"]
SMALL = ["shared_buffers=32MB", "max_connections=100", "jit=off"]
NEAR = ["listen_addresses=127.0.0.1", "unix_socket_directories="]


class PostgreSQL(PrivateServer):
    """A PostgreSQL server whose databases sort text as people do (en-US), not by bytes."""

    dialect = "postgresql"

    def new_database(self) -> str:
        return self._create("")

    def copy(self, uri: str) -> str:
        return self._create(f' TEMPLATE "{self._name_of(uri)}"')

    def drop_database(self, uri: str) -> None:
        with self._administrator() as connection:
            connection.execute(f'DROP DATABASE "{self._name_of(uri)}" WITH (FORCE)')

    def _create(self, options: str) -> str:
        name = self._next_name()
        with self._administrator() as connection:
            connection.execute(f'CREATE DATABASE "{name}" OWNER "{USER}"{options}')
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{name}"

    def _make(self) -> None:
        initdb = needed("initdb")
        secret = self.folder / "password"
        secret.write_text(PASSWORD, encoding="utf-8")
        secret.chmod(0o644)
        version = initdb.parent.parent.name
        sorting = ["--locale-provider=icu", "--icu-locale=en-US"] if version.isdigit() and int(version) >= 15 else []
        access = [f"--username={ADMINISTRATOR}", f"--pwfile={secret}", "--auth=scram-sha-256"]
        self._run(
            [initdb, f"--pgdata={self._data}", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", *sorting, *access]
        )

    def _command(self) -> list[str]:
        settings = [part for one in (*FAST, *SMALL, *NEAR) for part in ("-c", one)]
        return [str(needed("postgres")), "-D", str(self._data), "-p", str(self.port), *settings]

    def _prepare(self) -> None:
        import psycopg

        try:
            with self._administrator() as connection:
                connection.execute(f"CREATE ROLE \"{USER}\" LOGIN PASSWORD '{PASSWORD}'")
        except psycopg.OperationalError as error:
            raise ConnectionError(str(error)) from error

    def _end(self) -> None:
        # «Immediate shutdown»: the first process ends the others, and waits for no client.
        with suppress(ProcessLookupError, OSError, ValueError):
            os.kill(int((self._data / "postmaster.pid").read_text().split("\n", 1)[0]), signal.SIGQUIT)

    def _administrator(self) -> Any:
        import psycopg

        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=ADMINISTRATOR,
            password=PASSWORD,
            dbname="postgres",
            autocommit=True,
            connect_timeout=10,
        )
