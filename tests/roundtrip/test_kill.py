"""A process that is killed at any moment leaves nothing that looks whole, and the next one completes its work.

``--kills N`` kills N times (the default is a handful), ``--kill-seed`` chooses other moments.
"""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from mlflow_archive import api
from mlflow_archive.errors import NotAnArchiveError
from tests.comparison import NOT_RESTORED, compare_servers, describe
from tests.conftest import StartServer
from tests.roundtrip.journey import assert_sound, sections
from tests.roundtrip.killing import DONE, run
from tests.seeding import seed_server
from tests.servers import MlflowServer

pytestmark = [pytest.mark.server, pytest.mark.timeout(3600)]


@pytest.fixture(scope="module")
def source(start_module_server: StartServer) -> MlflowServer:
    """A server with everything in it but great size: the moments are then spread over all kinds."""
    server = start_module_server()
    seed_server(server, small=True)
    return server


@pytest.fixture(scope="module")
def undisturbed(source: MlflowServer, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, float]:
    """A backup that nobody disturbed, and how many seconds it took."""
    target = tmp_path_factory.mktemp("archives") / "undisturbed"
    ended = run("backup", str(target), "--tracking-uri", source.uri)
    assert ended.code in DONE, ended.said
    return target, ended.seconds


@pytest.fixture(scope="module")
def moments(request: pytest.FixtureRequest) -> list[float]:
    """When to kill, as parts of the time that the whole takes."""
    chance = random.Random(request.config.getoption("--kill-seed"))
    kills: int = request.config.getoption("--kills")
    # One in each of equal parts, so that few kills are spread as well as many.
    return [(number + chance.random()) / kills for number in range(kills)]


def test_a_killed_backup_is_no_archive_and_can_be_resumed(
    source: MlflowServer, undisturbed: tuple[Path, float], moments: list[float], tmp_path: Path
) -> None:
    whole, seconds = undisturbed
    killed = 0
    for number, moment in enumerate(moments):
        target = tmp_path / str(number)
        arguments = ("backup", str(target), "--tracking-uri", source.uri)
        ended = run(*arguments, kill_after=seconds * moment)
        if ended.code is None and not (target / "manifest.json").exists():
            killed += 1
            with pytest.raises(NotAnArchiveError):
                api.ls(str(target))
            ended = run(*arguments, "--resume")
            assert ended.code in DONE, ended.said
        assert sections(target) == sections(whole), f"killed after {seconds * moment:.2f} s of {seconds:.2f} s"
        assert_sound(target)
    assert killed, "no backup was killed before its end"


def test_a_backup_killed_again_and_again_ends_up_whole(
    source: MlflowServer, undisturbed: tuple[Path, float], moments: list[float], tmp_path: Path
) -> None:
    whole, seconds = undisturbed
    target = tmp_path / "often"
    for moment in moments:
        run("backup", str(target), "--tracking-uri", source.uri, "--resume", kill_after=seconds * moment)
        if (target / "manifest.json").exists():
            break
    else:
        ended = run("backup", str(target), "--tracking-uri", source.uri, "--resume")
        assert ended.code in DONE, ended.said
    assert sections(target) == sections(whole)
    assert_sound(target)


def test_a_killed_restore_is_completed_by_the_next(
    source: MlflowServer,
    undisturbed: tuple[Path, float],
    moments: list[float],
    start_server: StartServer,
) -> None:
    """One server takes all the kills, each a little later than the one before, and is equal in the end."""
    archive, _ = undisturbed
    seconds = _seconds_of_a_restore(archive, start_server)
    target = start_server()
    killed = 0
    for moment in moments:
        ended = run("restore", str(archive), "--tracking-uri", target.uri, kill_after=seconds * moment)
        killed += ended.code is None
    assert killed, "no restore was killed before its end"
    ended = run("restore", str(archive), "--tracking-uri", target.uri)
    assert ended.code in DONE, ended.said
    differences = compare_servers(source.uri, target.uri, without=NOT_RESTORED)
    assert not differences, describe(differences)
    target.stop()


def _seconds_of_a_restore(archive: Path, start_server: StartServer) -> float:
    """Time an undisturbed restore into a server of its own."""
    server = start_server()
    ended = run("restore", str(archive), "--tracking-uri", server.uri)
    assert ended.code in DONE, ended.said
    server.stop()
    return ended.seconds
