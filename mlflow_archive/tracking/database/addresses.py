"""From a database URI, as MLflow takes it, to an engine; without the driver, to one sentence."""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from sqlalchemy import URL, make_url
from sqlalchemy.exc import ArgumentError

from mlflow_archive.errors import UnsupportedError, UsageError

#: Dialect -> driver of SQLAlchemy, module to import, extra of this package that installs it.
_DRIVERS = {
    "postgresql": ("psycopg", "psycopg", "postgresql"),
    "mysql": ("pymysql", "pymysql", "mysql"),
    "mssql": ("pymssql", "pymssql", "mssql"),
}
#: Other drivers that a URI may name: driver -> module.
_MODULES = {"psycopg2": "psycopg2", "mysqldb": "MySQLdb", "mysqlconnector": "mysql.connector", "pyodbc": "pyodbc"}
_DATABASE = re.compile(r"(sqlite|postgres(?:ql)?|mysql|mariadb|mssql)(\+\w+)?:", re.IGNORECASE)
_NO_DATABASE = (
    "The address is not that of a database: write postgresql://user:password@host:5432/database, the signs of a "
    "password as %40 (@), %2F (/) and %3A (:)."
)


@dataclass(frozen=True, slots=True)
class DatabaseAddress:
    """Where a database is.

    Attributes:
        url: For SQLAlchemy, with the password; in no message.
        shown: For people: no user, password or query.
    """

    url: URL
    shown: str

    @property
    def dialect(self) -> str:
        """``sqlite``, ``postgresql``, ``mysql`` (MariaDB too) or ``mssql``."""
        return str(self.url.get_backend_name())

    @property
    def file(self) -> Path | None:
        """The file of a SQLite database."""
        return Path(self.url.database or "") if self.dialect == "sqlite" else None


def is_database(uri: str) -> bool:
    """Tell whether a URI names a database that MLflow can keep its objects in."""
    return _DATABASE.match(uri.strip()) is not None


def database_address(uri: str) -> DatabaseAddress:
    """Return the address that a URI means, with a driver that is installed.

    Raises:
        UsageError: The URI is none, names no file or no database, or has signs that must be escaped.
        UnsupportedError: The driver is not installed; the sentence says how to.
    """
    uri = re.sub(r"^(postgres|mariadb)(?=[+:])", _proper, uri.strip(), flags=re.IGNORECASE)
    if uri.lower().startswith("sqlite"):
        return _sqlite(uri)
    try:
        url = make_url(uri)
    except (ArgumentError, ValueError) as error:
        raise UsageError(_NO_DATABASE) from error
    dialect = url.get_backend_name()
    if dialect not in _DRIVERS:
        raise UsageError(_NO_DATABASE)
    if "@" in f"{url.host}{url.database}":
        # The rest of a password, which would be shown and stored as the host.
        raise UsageError(
            "The address has more than one @: write the signs of a user and a password as %40 (@), %2F (/) and %3A (:)."
        )
    if not url.database:
        raise UsageError(f"The address names no database: write {dialect}://user:password@host/database.")
    driver, module, extra = _DRIVERS[dialect]
    if "+" in url.drivername:
        named = url.drivername.partition("+")[2].lower()
        driver, module = named, _MODULES.get(named, named)
    if find_spec(module.partition(".")[0]) is None:
        raise UnsupportedError(
            f"For {dialect} databases the Python package {module.partition('.')[0]} is needed: pip install "
            f"'mlflow-archive[sql,{extra}]'.",
            code="driver",
        )
    host = f"{url.host or ''}{f':{url.port}' if url.port else ''}"
    return DatabaseAddress(url.set(drivername=f"{dialect}+{driver}"), f"{dialect}://{host}/{url.database}")


def _proper(found: re.Match[str]) -> str:
    return "postgresql" if found[1].lower() == "postgres" else "mysql"


def _sqlite(uri: str) -> DatabaseAddress:
    location = unquote(uri.partition(":")[2].partition("?")[0])
    if not location.startswith("///") or location in ("///", "///:memory:"):
        raise UsageError(
            f"{uri.partition('?')[0]!r} names no file: write sqlite:///mlflow.db or sqlite:////folder/mlflow.db."
        )
    if location.startswith("///file:"):
        raise UsageError("A SQLite store is given by its plain path: write sqlite:////folder/mlflow.db.")
    path = Path(location[3:]).absolute()
    return DatabaseAddress(URL.create("sqlite", database=str(path)), f"sqlite:///{path}")
