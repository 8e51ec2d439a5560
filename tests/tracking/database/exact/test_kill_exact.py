"""An exact restore that is killed at any moment leaves a database that says what it is.

``--kills N`` kills N times on each database (the default is a handful), ``--kill-seed`` chooses other moments.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.pool import NullPool

from mlflow_archive.errors import ConflictError
from mlflow_archive.tracking.database.addresses import database_address
from mlflow_archive.tracking.database.exact import state
from tests.databases.filled import unpack
from tests.databases.fixtures import EXACT_KINDS
from tests.roundtrip.killing import DONE
from tests.tracking.database.exact.archives import archive_tables, rows_of
from tests.tracking.database.exact.forking import Forks
from tests.tracking.database.exact.structure import structure_of
from tests.tracking.database.exact.test_exact_sqlite import restore

pytestmark = pytest.mark.timeout(3600)


@pytest.fixture(scope="module")
def forks(tmp_path_factory):
    with Forks(tmp_path_factory.mktemp("forks")) as forks:
        yield forks


@pytest.fixture(scope="module")
def old(tmp_path_factory):
    return unpack("3.5.1", tmp_path_factory.mktemp("old") / "3.5.1")


@pytest.fixture(scope="module")
def archive(old, forks, tmp_path_factory):
    """An archive with the tables and the files of a server."""
    folder = tmp_path_factory.mktemp("whole") / "a"
    uri, files = f"sqlite:///{old}", str(old.parent / "artifacts")
    ended = forks.run("backup", str(folder), "--tracking-uri", uri, "--artifacts-destination", files)
    assert ended.code in DONE, ended.said
    return str(folder)


@pytest.fixture(scope="module")
def other(tmp_path_factory):
    """Another archive."""
    folder = tmp_path_factory.mktemp("other")
    return archive_tables(f"sqlite:///{unpack('3.0.1', folder / 'old')}", folder / "a")


@pytest.fixture(scope="module")
def moments(request):
    """When to kill, as parts of the time that the whole takes: one in each of equal parts."""
    chance = random.Random(request.config.getoption("--kill-seed"))
    kills = request.config.getoption("--kills")
    return [(number + chance.random()) / kills for number in range(kills)]


@dataclass
class Place:
    """Where a restore goes: a database, and a folder for the files."""

    uri: str
    files: Path

    def arguments(self, archive):
        files = ("--artifact-root", f"mlflow-artifacts:/={self.files}")
        return ("restore", archive, "--exact", "--tracking-uri", self.uri, *files)

    def content(self):
        """Return everything in it."""
        files = {
            str(path.relative_to(self.files)): path.read_bytes() for path in self.files.rglob("*") if path.is_file()
        }
        return {"rows": rows_of(self.uri), "structure": structure_of(self.uri), "files": files}


@pytest.fixture(params=EXACT_KINDS)
def place(request, databases, tmp_path):
    """Makes places on a database."""
    kind = databases(request.param)
    made = []

    def new():
        made.append(Place(kind.new_database(), tmp_path / f"files{len(made)}"))
        return made[-1]

    yield new
    for one in made:
        kind.drop_database(one.uri)


def found(uri):
    """Tell what a database says it is: nothing, marked or whole."""
    if uri.startswith("sqlite") and not Path(uri.removeprefix("sqlite:///")).exists():
        return "nothing"
    engine = sa.create_engine(database_address(uri).url, poolclass=NullPool)
    try:
        with engine.connect() as connection:
            revision = state.revision(connection)
            if revision is None:
                assert set(sa.inspect(connection).get_table_names()) <= {state.TABLE, state.VERSION_TABLE}
                return "nothing"
            return "marked" if revision == state.MARKER else "whole"
    finally:
        engine.dispose()


def test_a_killed_restore_says_what_it_is_and_is_completed_or_cleared(place, archive, other, forks, moments, capsys):
    """Every second one is cleared, the others are completed: by the same command, the first only without an option."""
    undisturbed = place()
    ended = forks.run(*undisturbed.arguments(archive))
    assert ended.code in DONE, ended.said
    wanted, seconds = undisturbed.content(), ended.seconds
    seen = []
    for number, moment in enumerate(moments):
        target = place()
        ended = forks.run(*target.arguments(archive), kill_after=seconds * moment)
        left = found(target.uri) if ended.code is None else "done"
        how = ("--start-over",) if number % 2 else ()
        if left == "marked":
            assert_refused(target, other, forks)
        if left in {"nothing", "marked"}:
            ended = forks.run(*target.arguments(archive), *how)
            assert ended.code in DONE, ended.said
        assert target.content() == wanted, f"killed after {seconds * moment:.2f} s of {seconds:.2f} s"
        seen.append(f"{moment:.0%} {left}{' cleared' if how else ''}")
    with capsys.disabled():
        print(f"\n{undisturbed.uri.partition(':')[0]}, {seconds:.1f} s undisturbed, killed at: {', '.join(seen)}")
    assert any("marked" in one for one in seen), "no restore was killed between its beginning and its end"


def test_a_restore_killed_again_and_again_ends_up_whole(databases, archive, forks, moments, tmp_path):
    """On the database whose changes of the schema are in no transaction."""
    kind = databases("exact_mariadb")
    undisturbed, target = (Place(kind.new_database(), tmp_path / name) for name in ("one", "two"))
    ended = forks.run(*undisturbed.arguments(archive))
    for moment in moments:
        forks.run(*target.arguments(archive), kill_after=ended.seconds * moment)
        if found(target.uri) == "whole":
            break
    else:
        ended = forks.run(*target.arguments(archive))
        assert ended.code in DONE, ended.said
    assert target.content() == undisturbed.content()
    for one in (undisturbed, target):
        kind.drop_database(one.uri)


def assert_refused(target, other, forks):
    """Neither MLflow nor the restore of another archive takes the database for its own."""
    uri = database_address(target.uri).url.render_as_string(hide_password=False)
    ended = forks.run_mlflow("experiments", "search", tracking_uri=uri)
    assert ended.code == 1
    assert f"Can't locate revision identified by '{state.MARKER}'" in ended.said
    with pytest.raises(ConflictError, match=r"an interrupted exact restore of another archive .* --start-over"):
        restore(other, target.uri)
    assert found(target.uri) == "marked"
