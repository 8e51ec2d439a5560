"""Addresses of databases as people write them; a password is in no sentence, however it is written."""

from __future__ import annotations

import pytest

from mlflow_archive.errors import UsageError
from mlflow_archive.tracking.database.addresses import database_address


@pytest.mark.parametrize(
    "uri",
    [
        "postgresql://ann:hid@den@db.example.com/mlflow",
        "postgresql://ann:a@hidden/b@db.example.com:5432/mlflow",
        "mysql://ann:a@hid:den@db.example.com/mlflow",
        "postgresql://ann:a@hid/den@db.example.com/mlflow?sslmode=require",
    ],
)
def test_a_password_with_a_bare_at_sign_is_refused_and_not_shown(uri: str) -> None:
    with pytest.raises(UsageError, match="%40") as error:
        database_address(uri)
    assert "hid" not in str(error.value)
    assert "den" not in str(error.value)


def test_the_signs_of_a_password_can_be_escaped() -> None:
    address = database_address("postgresql://ann:p%40ss%2Fw%3Ard@db.example.com:6543/mlflow?sslmode=require")
    assert address.url.password == "p@ss/w:rd"
    assert address.shown == "postgresql://db.example.com:6543/mlflow"


def test_a_socket_is_shown_without_a_host() -> None:
    assert database_address("postgresql:///mlflow").shown == "postgresql:///mlflow"


@pytest.mark.parametrize("uri", ["oracle://ann:hidden@host/mlflow", "http://ann:hidden@host/mlflow", "mlflow.db"])
def test_an_address_of_something_else_is_refused(uri: str) -> None:
    with pytest.raises(UsageError, match="not that of a database") as error:
        database_address(uri)
    assert "hidden" not in str(error.value)
