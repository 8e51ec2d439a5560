"""The errors and exit codes are part of the public interface: this is where they are frozen."""

from __future__ import annotations

import pytest

from mlflow_archive import errors

TREE = {
    "MlflowArchiveError": ("Exception", 1, "failed", False),
    "UsageError": ("ValueError", 2, "usage", False),
    "NotAuthorisedError": ("PermissionError", 4, "not_authorised", False),
    "IntegrityError": ("ValueError", 5, "integrity", False),
    "NotAnArchiveError": ("FileNotFoundError", 6, "not_an_archive", False),
    "ConflictError": ("FileExistsError", 7, "conflict", False),
    "UnsupportedError": ("RuntimeError", 8, "unsupported", False),
    "NotFoundError": ("LookupError", 1, "not_found", False),
    "UnavailableError": ("ConnectionError", 1, "unavailable", True),
}


def all_errors() -> list[type[errors.MlflowArchiveError]]:
    return [errors.MlflowArchiveError, *errors.MlflowArchiveError.__subclasses__()]


def test_the_tree_is_what_it_was():
    found = {
        error.__name__: (error.__bases__[-1].__name__, int(error.exit_code), error.code, error.retryable)
        for error in all_errors()
        if error.__module__ == "mlflow_archive.errors"
    }
    assert found == TREE


def test_the_exit_codes_are_what_they_were():
    assert {code.name: int(code) for code in errors.ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "LOSSES": 3,
        "NOT_AUTHORISED": 4,
        "INTEGRITY": 5,
        "NOT_AN_ARCHIVE": 6,
        "CONFLICT": 7,
        "UNSUPPORTED": 8,
        "INTERRUPTED": 130,
    }


@pytest.mark.parametrize("error", [error for error in TREE if error != "IntegrityError"])
def test_a_finer_code_keeps_the_class(error):
    made = getattr(errors, error)("What is wrong.", code="finer")
    assert (made.code, str(made)) == ("finer", "What is wrong.")
    assert getattr(errors, error).code == TREE[error][2]


def test_an_integrity_error_keeps_every_problem():
    problems = [errors.Problem("E022", "a", "is damaged"), errors.Problem("E020", "b", "leaves the root")]
    error = errors.IntegrityError("Two problems.", problems=problems)
    assert error.problems == tuple(problems)
    assert str(problems[0]) == "E022 a: is damaged"
