"""Which MLflow release made which revision of the schema (alembic), read off the wheels of 2.9 to 3.18."""

from __future__ import annotations

#: What stands in place of a revision while an exact restore is under way (`exact.state`).
RESTORE_UNDERWAY = "mlflow_archive_restore_underway"

#: Revision -> the first release that has it as its newest one, oldest first.
RELEASES: dict[str, str] = {
    "acf3f17fdcc7": "2.9",
    "867495a8f9d4": "2.13",
    "5b0e9adcef9c": "2.14",
    "4465047574b1": "2.15",
    "f5a4f2784254": "2.17",
    "0584bdc529eb": "2.19",
    "6953534de441": "3.0",
    "bda7b8c39065": "3.0.1",
    "770bee3ae1dd": "3.2",
    "1a0cddfcaa16": "3.3",
    "71994744cf8e": "3.4",
    "bf29a5ff90ea": "3.5",
    "1bd49d398cd23": "3.8",
    "d3e4f5a6b7c8": "3.9",
    "1b5f0d9ad7c1": "3.10",
    "c3d6457b6d8a": "3.11",
    "7d34483879f0": "3.12",
    "da6fb0208061": "3.13",
    "b7e4c1a90f23": "3.14",
    "6f8d9c3b2a1e": "3.15",
    "b7e2c1a4d9f3": "3.16",
    "dc11669786a5": "3.17",
    "f4a9b2c7d1e6": "3.18",
}
#: The same of users and permissions; their first revision is that of older releases too.
RELEASES_OF_USERS: dict[str, str] = {
    "8606fa83a998": "2.9",
    "0965eb92f5f0": "3.7",
    "a1b2c3d4e5f6": "3.9",
    "2ed73881770d": "3.10",
    "c3d4e5f6a7b8": "3.12",
    "e5f6a7b8c9d0": "3.13",
    "f1a2b3c4d5e6": "3.13",
}


def release_of(revision: str) -> str:
    """Return the MLflow release of a revision, of either database; of an unknown one, the newest release that is known.

    A revision between two releases, or after all of them, is read by its tables and columns like any other.
    """
    return {**RELEASES, **RELEASES_OF_USERS}.get(revision, next(reversed(RELEASES.values())))


def release_after(revision: str) -> str | None:
    """Return the MLflow release that changed the schema next; None for the newest revision and for unknown ones."""
    known = [*RELEASES]
    at = known.index(revision) + 1 if revision in RELEASES else len(known)
    return RELEASES[known[at]] if at < len(known) else None
