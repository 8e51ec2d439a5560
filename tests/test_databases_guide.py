"""docs/databases.md tells the truth: its commands parse, its examples run on real databases, its words are ours."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path
from urllib.parse import urlsplit

import click
import pytest

from mlflow_archive.cli.main import COMMANDS, cli
from mlflow_archive.errors import ExitCode, UnsupportedError
from mlflow_archive.tracking.database.exact import quiet, schema, state
from mlflow_archive.tracking.database.revisions import RELEASES
from mlflow_archive.tracking.database.secrets import SECRETS
from tests.conftest import StartServer
from tests.databases.mariadb import MariaDB
from tests.databases.postgresql import ADMINISTRATOR
from tests.databases.private import PASSWORD, PrivateServer
from tests.test_readme import SEED, command_lines

ROOT = Path(__file__).parent.parent
GUIDE = (ROOT / "docs" / "databases.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(bash|sql) *([\w-]*)\n(.*?)^```$", GUIDE, flags=re.MULTILINE | re.DOTALL)
ALL = command_lines([(name, text) for language, name, text in BLOCKS if language == "bash"])


def block(language: str, name: str) -> str:
    [text] = [text for found, called, text in BLOCKS if (found, called) == (language, name)]
    return text


def of(name: str, **places: str) -> list[list[str]]:
    """Return the commands of a block, with other places in them."""
    text = block("bash", name)
    for old, new in places.items():
        assert old in text, old
        text = text.replace(old, new)
    return command_lines([(name, text)])


def run(words: list[str], place: Path) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MLFLOW_")}
    kept["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), kept.get("PYTHONPATH")]))
    return subprocess.run(
        [sys.executable, "-m", "mlflow_archive", *words],
        cwd=place,
        env=kept,
        check=False,
        capture_output=True,
        text=True,
    )


def exact_here() -> bool:
    """Tell whether the installed MLflow can make the tables of the server's."""
    try:
        schema.require("dc11669786a5", made_by="3.17")
    except UnsupportedError:
        return False
    return True


def run_all(commands: list[list[str]], place: Path) -> None:
    """Run commands that all succeed; an MLflow that is too old for an exact restore is told what to install."""
    for words in commands:
        done = run(words, place)
        said = f"{' '.join(words)}\n{done.stdout}\n{done.stderr}"
        if "--exact" in words and not exact_here():
            assert done.returncode == ExitCode.UNSUPPORTED, said
            assert "pip install 'mlflow>=" in done.stderr
            return
        assert done.returncode == 0, said


def administer(server: PrivateServer, statements: str, database: str) -> None:
    if server.dialect == "postgresql":
        import psycopg

        where = {"host": "127.0.0.1", "port": server.port, "user": ADMINISTRATOR, "password": PASSWORD}
        with psycopg.connect(**where, dbname=database, autocommit=True) as connection:  # type: ignore[arg-type]
            connection.execute(statements.encode())
        return
    assert isinstance(server, MariaDB)
    with server._administrator() as cursor:
        for statement in filter(None, map(str.strip, statements.split(";"))):
            cursor.execute(statement)


@pytest.mark.parametrize("words", ALL, ids=" ".join)
def test_every_command_parses(words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    group = click.Context(cli, info_name="mlflow-archive")
    command = cli.get_command(group, words[0])
    assert command is not None, f"there is no command {words[0]}"
    assert command.make_context(words[0], words[1:], parent=group, resilient_parsing=False).params


def test_every_option_that_is_named_is_there() -> None:
    group = click.Context(cli)
    options = {"--enable-workspaces"}  # of mlflow server
    for name in COMMANDS:
        command = cli.get_command(group, name)
        assert command is not None
        options |= {word for param in command.params for word in param.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", GUIDE)) - options == set()


def test_links_lead_somewhere() -> None:
    headings = {heading.lower().replace(" ", "-") for heading in re.findall(r"^#+ (.+)$", GUIDE, re.M)}
    for link in re.findall(r"\]\(([^)]+)\)", GUIDE):
        path, _, anchor = link.partition("#")
        assert not path or (ROOT / "docs" / path).exists(), link
        assert path or anchor in headings, link


def test_the_words_are_the_programs() -> None:
    assert re.findall(r"^\| `([a-z-]+)` \|", GUIDE, flags=re.MULTILINE) == [*SECRETS]
    assert f"`{state.MARKER}`" in GUIDE
    assert "dc11669786a5" in RELEASES
    assert quiet._CANCELED == 5
    [extras] = re.findall(
        r"\[project\.optional-dependencies\]\n(.*?)^\[", (ROOT / "pyproject.toml").read_text(), re.M | re.S
    )
    named = set(re.findall(r"`mlflow-archive\[(\w+)\]`", GUIDE))
    assert named == {"sql", "postgresql", "mysql", "mssql"}
    assert all(re.search(rf"^{name} = ", extras, re.M) for name in named)


READ_BACK = """
import sys
from mlflow import MlflowClient
client = MlflowClient(sys.argv[1])
run = client.get_run(sys.argv[2])
assert run.info.experiment_id == sys.argv[3]
path = client.download_artifacts(run.info.run_id, "notes.txt", sys.argv[4])
assert open(path).read() == "hello"
assert int(client.create_experiment("made after")) > int(run.info.experiment_id)
"""


@pytest.mark.timeout(900)
def test_a_server_that_is_gone_is_restored_from_its_database(
    tmp_path: Path,
    start_server: StartServer,
    postgresql: PrivateServer,
    new_mlflow_database: Callable[[str], str],
) -> None:
    from mlflow import MlflowClient

    old, new = new_mlflow_database("postgresql"), postgresql.new_database()
    server = start_server(tmp_path / "old", backend_uri=old)
    client = MlflowClient(server.uri)
    run_id = client.create_run(client.create_experiment("iris"), run_name="first").info.run_id
    client.log_metric(run_id, "f1", 0.5)
    client.log_text(run_id, "hello", "notes.txt")
    experiment_id = client.get_run(run_id).info.experiment_id
    assert run(["backup", "over-the-api", "--tracking-uri", server.uri], tmp_path).returncode == 0
    server.stop()
    name = urlsplit(old).path[1:]
    administer(postgresql, block("sql", "postgresql").replace("DATABASE mlflow", f'DATABASE "{name}"'), name)

    places = {
        "db.example.com/mlflow": f"127.0.0.1:{postgresql.port}/{name}",
        "postgresql://mlflow:secret@new.example.com/mlflow": new,
        "/srv/mlflow/artifacts": str(server.artifacts),
        "/srv/new/artifacts": str(tmp_path / "new" / "artifacts"),
    }
    run_all(of("disaster", **places), tmp_path)

    compared = run(["diff", "over-the-api", "nightly", "--json"], tmp_path)
    assert compared.returncode == 0, compared.stdout
    assert json.loads(compared.stdout)["equal"] == {"experiment": 2, "run": 1}
    source = json.loads((tmp_path / "nightly" / "manifest.json").read_bytes())["source"]
    assert (source["dialect"], source["uri"]) == ("postgresql", f"postgresql://127.0.0.1:{postgresql.port}/{name}")
    assert source["revision"] in RELEASES
    if exact_here():
        restored = start_server(tmp_path / "new", backend_uri=new)
        words = [restored.uri, run_id, experiment_id, str(tmp_path)]
        done = subprocess.run([sys.executable, "-c", READ_BACK, *words], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr


@pytest.mark.timeout(900)
def test_a_file_of_sqlite_and_a_folder_need_no_server_at_all(tmp_path: Path) -> None:
    seed = f'{SEED}\nclient.log_text(run.info.run_id, "hello", "notes.txt")\n'
    subprocess.run([sys.executable, "-c", seed], cwd=tmp_path, check=True, capture_output=True)

    places = {"/srv/mlflow/mlruns": str(tmp_path / "mlruns"), "/srv/new/mlruns": str(tmp_path / "moved")}
    run_all(of("sqlite", **places), tmp_path)
    if exact_here():
        assert [path.read_text() for path in (tmp_path / "moved").rglob("notes.txt")] == ["hello"]

    folder = tmp_path / "other"
    folder.mkdir()
    with tarfile.open(ROOT / "tests" / "databases" / "old" / "filestore-2.9.tar.gz") as tar:
        tar.extractall(folder)
    [mlruns] = folder.rglob("mlruns")
    done = run(of("filestore")[0], mlruns.parent)
    assert done.returncode in (ExitCode.DONE, ExitCode.LOSSES), done.stderr
    assert "A file store has no tables" in done.stdout


@pytest.mark.timeout(900)
def test_who_may_only_read_reads_all_of_mariadb(
    tmp_path: Path, mariadb: MariaDB, new_mlflow_database: Callable[[str], str]
) -> None:
    uri = new_mlflow_database("mariadb")
    name = urlsplit(uri).path[1:]
    statements = block("sql", "mysql").replace("mlflow.*", f"`{name}`.*").replace("'%'", "'127.0.0.1'")
    administer(mariadb, statements, name)
    readers = f"mysql://backup:secret@127.0.0.1:{mariadb.port}/{name}"
    records = []
    for place, address in (("owner", uri), ("reader", readers)):
        done = run(["backup", place, "--only", "database", "--tracking-uri", address], tmp_path)
        assert done.returncode == 0, done.stderr
        document = tmp_path / place / "database" / "tracking" / "database.json"
        records.append(json.loads(document.read_bytes())["record"])
    assert records[0] == records[1]
    assert run(["diff", "owner", "reader", "--only", "database"], tmp_path).returncode == 0
