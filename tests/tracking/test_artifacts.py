"""Artifacts by every way, and the choice of the way."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from mlflow_archive.errors import MlflowArchiveError, NotFoundError, UnavailableError, UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.artifact_routes import Place, Routes, Way
from mlflow_archive.tracking.artifacts import ArtifactAccess, ArtifactFault, ArtifactFile, ArtifactOwner, open_artifacts
from mlflow_archive.tracking.client import ServerClient
from mlflow_archive.tracking.http_client import HttpClient
from mlflow_archive.tracking.proxied_artifacts import walk
from tests.conftest import StartServer
from tests.servers import MlflowServer
from tests.tracking.fault_server import Answer, FaultServer

CARRIED = ("a.txt", "deep/er/and/deeper/b.bin", "empty", "ü ñ 日本/+ & = ?x;'.txt", "co:lon", "dot.", "100%", "many/0")
NOT_CARRIED = ("a%20b", "h#sh", "folder#1/x", "ask?")


def _client(*, local: bool, roots: Mapping[str, str] | None = None) -> ServerClient:
    return cast("ServerClient", SimpleNamespace(local=local, artifact_roots=roots or {}))


def _run(uri: str, workspace: str | None = None) -> ArtifactOwner:
    return ArtifactOwner(Kind.RUN, "r1", uri, workspace)


def _content(name: str) -> bytes:
    return b"" if name == "empty" else name.encode() * 100


def _read(access: ArtifactAccess, owner: ArtifactOwner, name: str) -> bytes:
    with access.open(owner, name) as chunks:
        return b"".join(chunks)


def _write_and_read(access: ArtifactAccess, owner: ArtifactOwner, names: tuple[str, ...]) -> None:
    for name in names:
        content = _content(name)
        access.write(owner, name, iter([content[:7], content[7:]]), len(content))
    access.write(owner, "unmeasured", iter([b"x"]), None)
    found = list(access.list(owner))
    assert {file.name for file in found} == {*names, "unmeasured"}
    for file in found:
        assert isinstance(file, ArtifactFile)
        content = b"x" if file.name == "unmeasured" else _content(file.name)
        assert file.size_bytes in (len(content), None)
        assert _read(access, owner, file.name) == content
    access.write(owner, "a.txt", iter([b"new"]), 3)
    assert _read(access, owner, "a.txt") == b"new"


@pytest.mark.parametrize(
    ("uri", "workspace", "place"),
    [
        ("mlflow-artifacts:/1/r1/artifacts", None, Place(Way.STORE, "root/1/r1/artifacts", "s3://bucket", True)),
        ("mlflow-artifacts:///1/r1/artifacts", None, Place(Way.STORE, "root/1/r1/artifacts", "s3://bucket", True)),
        ("mlflow-artifacts://host:5/1/r1/a", None, Place(Way.STORE, "root/1/r1/a", "s3://bucket", True)),
        ("mlflow-artifacts:/1/r1/a", "team", Place(Way.STORE, "root/workspaces/team/1/r1/a", "s3://bucket", True)),
        ("mlflow-artifacts:/9/r1/artifacts", None, Place(Way.LOCAL, "/nine/r1/artifacts", mapped=True)),
        ("mlflow-artifacts:/99/r1/a", None, Place(Way.STORE, "root/99/r1/a", "s3://bucket", True)),
        ("s3://other/x/r1", None, Place(Way.STORE, "x/r1", "s3://other")),
        ("/old/place/r1", None, Place(Way.LOCAL, "/new/r1", mapped=True)),
        ("/absent/place/r1", None, Place(Way.SERVER)),
        ("file:///absent/pl%20ace/r1", None, Place(Way.SERVER)),
        ("dbfs:/databricks/x", None, Place(Way.SERVER)),
    ],
)
def test_the_longest_mapping_shows_the_way(uri: str, workspace: str | None, place: Place) -> None:
    roots = {"mlflow-artifacts:/": "s3://bucket/root/", "mlflow-artifacts:/9": "/nine", "/old/place": "file:///new"}
    assert Routes(_client(local=False), roots).to(_run(uri, workspace), writing=False) == place


def test_without_a_mapping_the_proxy_is_asked(tmp_path: Path) -> None:
    routes = Routes(_client(local=False), {})
    assert routes.to(_run("mlflow-artifacts:/1/r/a"), writing=False) == Place(Way.PROXY, "1/r/a")
    anchored = "https://h/api/2.0/mlflow-artifacts/artifacts/1/r/a"
    assert routes.to(_run(anchored), writing=False) == Place(Way.PROXY, "1/r/a")
    assert routes.to(_run(str(tmp_path)), writing=False) == Place(Way.SHARED, str(tmp_path))
    assert routes.to(_run(f"{tmp_path}/1/r1/artifacts"), writing=False) == Place(Way.SERVER)
    assert routes.to(_run(f"{tmp_path}/1/r1/artifacts"), writing=True).way is Way.SHARED


def test_a_local_store_knows_its_folders() -> None:
    routes = Routes(_client(local=True, roots={"./": "/srv", "mlruns": "/srv/mlruns"}), {})
    assert routes.to(_run("/any/where"), writing=False) == Place(Way.LOCAL, "/any/where")
    assert routes.to(_run("./mlruns/1/r"), writing=False).path == "/srv/mlruns/1/r"
    assert routes.to(_run("mlruns/1/r"), writing=False).path == "/srv/mlruns/1/r"
    with pytest.raises(MlflowArchiveError, match="--artifact-root"):
        routes.to(_run("mlflow-artifacts:/1/r"), writing=False)


def test_a_mapping_needs_two_sides() -> None:
    with pytest.raises(UsageError, match="lacks a side"):
        Routes(_client(local=False), {"mlflow-artifacts:/": ""})


def test_an_owner_nobody_can_reach_is_a_fault() -> None:
    with closing(open_artifacts(_client(local=True), roots={})) as access:
        (fault,) = access.list(_run("mlflow-artifacts:/1/r"))
    assert isinstance(fault, ArtifactFault)
    assert (fault.name, fault.code) == ("", "artifact_root")


class TestLocal:
    @pytest.fixture
    def owner(self, tmp_path: Path) -> ArtifactOwner:
        return _run(str(tmp_path / "1" / "r1" / "artifacts"))

    @pytest.fixture
    def access(self) -> Iterator[ArtifactAccess]:
        with closing(open_artifacts(_client(local=True), roots={})) as opened:
            yield opened

    def test_any_name(self, access: ArtifactAccess, owner: ArtifactOwner) -> None:
        assert list(access.list(owner)) == []
        _write_and_read(access, owner, (*CARRIED, *NOT_CARRIED))
        assert access.present(owner.uri.rpartition("/")[0]) == {"artifacts"}
        assert access.present(f"{owner.uri}/none") == frozenset()

    def test_a_broken_write_leaves_what_was_there(self, access: ArtifactAccess, owner: ArtifactOwner) -> None:
        def broken() -> Iterator[bytes]:
            yield b"half"
            raise UnavailableError("gone")

        access.write(owner, "a", iter([b"old"]), 3)
        with pytest.raises(UnavailableError, match="gone"):
            access.write(owner, "a", broken(), 10)
        with pytest.raises(UnavailableError, match="4 of 10 bytes"):
            access.write(owner, "a", iter([b"half"]), 10)
        assert _read(access, owner, "a") == b"old"
        assert [place.name for place in Path(owner.uri).iterdir()] == ["a"]

    def test_links_never_lead_out(self, access: ArtifactAccess, owner: ArtifactOwner, tmp_path: Path) -> None:
        root = Path(owner.uri)
        (root / "in").mkdir(parents=True)
        (root / "in" / "file").write_bytes(b"inside")
        (tmp_path / "secret").write_bytes(b"outside")
        (root / "out").symlink_to(tmp_path / "secret")
        (root / "up").symlink_to(tmp_path)
        (root / "same").symlink_to(root / "in" / "file")
        (root / "loop").symlink_to(root)
        (root / "dangling").symlink_to(root / "nothing")
        found = {entry.name: entry for entry in access.list(owner)}
        assert {name for name, entry in found.items() if isinstance(entry, ArtifactFile)} == {"in/file", "same"}
        assert {name: e.code for name, e in found.items() if isinstance(e, ArtifactFault)} == {
            "out": "link",
            "up": "link",
            "loop": "link",
            "dangling": "unreadable",
        }
        for name in ("out", "up/secret"):
            with pytest.raises(UsageError, match="out of its root"):
                _read(access, owner, name)
            with pytest.raises(UsageError, match="out of its root"):
                access.write(owner, name, iter([b"x"]), 1)
        assert (tmp_path / "secret").read_bytes() == b"outside"

    @pytest.mark.parametrize("name", ["../x", "/etc/passwd", "a/../../x", "", "a//b", "a\0b", "."])
    def test_names_stay_below_the_root(self, access: ArtifactAccess, owner: ArtifactOwner, name: str) -> None:
        with pytest.raises(UsageError, match="does not stay below"):
            access.write(owner, name, iter([b"x"]), 1)
        with pytest.raises(UsageError, match="does not stay below"):
            _read(access, owner, name)

    def test_what_is_not_a_file_is_a_fault(self, access: ArtifactAccess, owner: ArtifactOwner) -> None:
        root = Path(owner.uri)
        root.mkdir(parents=True)
        os.mkfifo(root / "pipe")
        with open(os.fsencode(str(root)) + b"/bad\xff", "wb"):  # noqa: PTH123
            pass
        found = {cast("ArtifactFault", entry).code for entry in access.list(owner)}
        assert found == {"special", "name"}
        with pytest.raises(UsageError, match="is not a file"):
            _read(access, owner, "pipe")
        with pytest.raises(NotFoundError):
            _read(access, owner, "none")

    def test_a_name_that_the_disk_refuses(self, access: ArtifactAccess, owner: ArtifactOwner) -> None:
        access.write(owner, "a", iter([b"x"]), 1)
        for name in ("x" * 300, "a/b"):
            with pytest.raises(UsageError, match="cannot have this name"):
                access.write(owner, name, iter([b"x"]), 1)


def test_a_mapped_store(tmp_path: Path) -> None:
    roots = {"mlflow-artifacts:/": f"memory://mapped-{tmp_path.name}/root"}
    owner = _run("mlflow-artifacts:/1/r1/artifacts")
    with closing(open_artifacts(_client(local=False), roots=roots)) as access:
        assert list(access.list(owner)) == []
        _write_and_read(access, owner, ("a.txt", "deep/er/b.bin", "empty", "ü ñ/+ & =.txt", "a: b?c#d. "))
        assert access.present("mlflow-artifacts:/1") is None
        with pytest.raises(NotFoundError):
            _read(access, owner, "none")


@pytest.fixture(scope="module")
def server(start_module_server: StartServer) -> MlflowServer:
    return start_module_server().start()


@pytest.mark.server
class TestServer:
    @pytest.fixture
    def client(self, server: MlflowServer) -> Iterator[HttpClient]:
        with closing(HttpClient.at(server.uri)) as connected:
            yield connected

    def _new_run(self, client: HttpClient, name: str, location: str = "") -> ArtifactOwner:
        body: dict[str, Any] = {"name": name, **({"artifact_location": location} if location else {})}
        made = client.call("POST", "/api/2.0/mlflow/experiments/create", body=body, repeatable=False)
        body = {"experiment_id": made["experiment_id"], "start_time": 1}
        run: Any = client.call("POST", "/api/2.0/mlflow/runs/create", body=body, repeatable=False)["run"]
        return ArtifactOwner(Kind.RUN, run["info"]["run_id"], run["info"]["artifact_uri"])

    def test_the_proxy(self, client: HttpClient) -> None:
        owner = self._new_run(client, "proxy")
        experiment = owner.uri.rpartition(f"/{owner.id}")[0]
        with closing(open_artifacts(client, roots={})) as access:
            assert list(access.list(owner)) == []
            assert access.present(experiment) == frozenset()
            _write_and_read(access, owner, CARRIED)
            assert access.present(experiment) == {owner.id}
            for name in NOT_CARRIED:
                with pytest.raises(UsageError, match="--artifact-root"):
                    access.write(owner, name, iter([b"x"]), 1)

    @pytest.mark.parametrize("size_bytes", [None, 1 << 20])
    def test_a_broken_upload_leaves_nothing(self, client: HttpClient, size_bytes: int | None) -> None:
        def broken() -> Iterator[bytes]:
            yield b"x" * (1 << 18)
            raise UnavailableError("the source broke off")

        owner = self._new_run(client, f"broken {size_bytes}")
        with closing(open_artifacts(client, roots={})) as access:
            with pytest.raises(UnavailableError, match="the source broke off"):
                access.write(owner, "half", broken(), size_bytes)
            access.write(owner, "whole", iter([b"x"]), 1)
            assert [file.name for file in access.list(owner)] == ["whole"]

    def test_names_the_proxy_cannot_carry_are_faults(self, client: HttpClient, server: MlflowServer) -> None:
        owner = self._new_run(client, "faults")
        root = server.artifacts / owner.uri.removeprefix("mlflow-artifacts:/")
        for name in ("good", *NOT_CARRIED):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_bytes(b"x")
        with closing(open_artifacts(client, roots={})) as access:
            found = list(access.list(owner))
            assert [file.name for file in found if isinstance(file, ArtifactFile)] == ["good"]
            faults = {fault.name: fault.code for fault in found if isinstance(fault, ArtifactFault)}
            assert faults == {"a%20b": "name", "h#sh": "name", "folder#1": "name", "ask?": "name"}
        with closing(open_artifacts(client, roots={"mlflow-artifacts:/": str(server.artifacts)})) as mapped:
            found = list(mapped.list(owner))
            assert {file.name for file in found} == {"good", *NOT_CARRIED}
            assert all(isinstance(file, ArtifactFile) for file in found)

    def test_thousands_of_files_are_one_request(self, client: HttpClient, server: MlflowServer) -> None:
        owner = self._new_run(client, "many")
        root = server.artifacts / owner.uri.removeprefix("mlflow-artifacts:/")
        root.mkdir(parents=True)
        for number in range(3000):
            (root / f"file {number}").touch()
        with closing(open_artifacts(client, roots={})) as access:
            before = client.request_count
            assert len(list(access.list(owner))) == 3000
            assert client.request_count == before + 1

    def test_a_disk_that_only_the_server_has(self, client: HttpClient, tmp_path: Path) -> None:
        owner = self._new_run(client, "disk", str(tmp_path / "disk"))
        content = {"a.txt": b"one", "deep/er/b c.txt": b"two", "ü + &.txt": b"three"}
        for name, value in content.items():
            place = Path(owner.uri, name)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(value)
        hidden = ArtifactOwner(Kind.RUN, owner.id, "/not/here" + owner.uri)
        with closing(open_artifacts(client, roots={})) as access:
            for seen in (owner, hidden):
                assert {file.name for file in access.list(seen)} == set(content)
                assert {name: _read(access, seen, name) for name in content} == content
            access.write(hidden, "up/loaded", iter([b"4", b"5"]), None)
            assert Path(owner.uri, "up", "loaded").read_bytes() == b"45"
            with pytest.raises(UsageError, match="neither from here nor through the server"):
                access.write(hidden, "big", iter([b"x" * (1 << 20)] * 11), None)
            with pytest.raises(NotFoundError):
                _read(access, ArtifactOwner(Kind.RUN, "0" * 32, "/not/here"), "a.txt")

    def test_a_disk_that_both_have_is_written_straight(
        self, client: HttpClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        owner = self._new_run(client, "shared", str(tmp_path / "shared"))
        carried: list[object] = []
        for name in ("upload", "download"):
            monkeypatch.setattr(client, name, lambda *arguments, **_: carried.append(arguments))
        before = client.request_count
        with closing(open_artifacts(client, roots={})) as access:
            _write_and_read(access, owner, (*CARRIED, *NOT_CARRIED))
        assert carried == []
        names = {*CARRIED, *NOT_CARRIED}
        assert client.request_count - before < len(names), "not one request for each file"
        root = Path(owner.uri)
        on_disk = {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}
        assert on_disk == {**{name: _content(name) for name in names}, "unmeasured": b"x", "a.txt": b"new"}

    def test_a_path_that_only_looks_shared_is_found_out(self, client: HttpClient, tmp_path: Path) -> None:
        owner = self._new_run(client, "lookalike", str(tmp_path / "server"))
        lookalike = ArtifactOwner(Kind.RUN, owner.id, str(tmp_path / "here" / owner.id / "artifacts"))
        with (
            closing(open_artifacts(client, roots={})) as access,
            pytest.raises(UsageError, match="a folder of another machine"),
        ):
            access.write(lookalike, "a.txt", iter([b"x"]), 1)
        assert list(Path(lookalike.uri).iterdir()) == []

    def test_files_of_a_logged_model(self, client: HttpClient, tmp_path: Path) -> None:
        run = self._new_run(client, "model", str(tmp_path / "models"))
        experiment: Any = client.call(
            "GET", "/api/2.0/mlflow/experiments/get-by-name", params={"experiment_name": "model"}
        )
        body = {"experiment_id": experiment["experiment"]["experiment_id"], "name": "m", "source_run_id": run.id}
        made: Any = client.call("POST", "/api/2.0/mlflow/logged-models", body=body, repeatable=False)
        info = made["model"]["info"]
        place = Path(info["artifact_uri"], "data", "model.bin")
        place.parent.mkdir(parents=True)
        place.write_bytes(b"weights")
        owner = ArtifactOwner(Kind.LOGGED_MODEL, info["model_id"], "/not/here")
        with closing(open_artifacts(client, roots={})) as access:
            assert list(access.list(owner)) == [ArtifactFile("data/model.bin", 7)]
            assert _read(access, owner, "data/model.bin") == b"weights"


def test_a_listing_that_fails_is_a_fault_of_its_folder() -> None:
    def answer(asked: Any) -> Answer:
        if "path=1%2Fr%2Fa%2Fbad" in asked.target:
            return Answer.error(403, "PERMISSION_DENIED", "not yours")
        files = [{"path": "bad", "is_dir": True}, {"path": "f", "is_dir": False, "file_size": "3"}]
        return Answer.json({"files": files})

    with FaultServer() as server, closing(HttpClient.at(server.uri)) as client:
        server.answer = answer
        with closing(open_artifacts(client, roots={})) as access:
            file, fault = access.list(_run("mlflow-artifacts:/1/r/a"))
    assert file == ArtifactFile("f", 3)
    assert isinstance(fault, ArtifactFault)
    assert (fault.name, fault.code, fault.retryable) == ("bad", "forbidden", False)


def test_a_root_that_is_no_address_is_refused() -> None:
    routes = Routes(_client(local=False), {})

    with pytest.raises(UsageError, match="is no address"):
        routes.to(_run("s3://[bucket/x"), writing=False)
    assert routes.to_root("s3://[bucket/x", None) is None


@pytest.mark.parametrize("name", ["", ".", "..", "again"])
def test_folders_that_never_end_are_left(name: str) -> None:
    found = list(walk(lambda above: iter([(name, True, None), ("a.txt", False, 1)])))

    assert ArtifactFile("a.txt", 1) in found
    assert [fault.code for fault in found if isinstance(fault, ArtifactFault)] == ["name"]


@pytest.mark.parametrize(
    ("uri", "root"),
    [
        ("/gone/from/here/mlruns/1/r1/artifacts", "/gone/from/here/mlruns"),
        ("file:///gone/from/here/mlruns/1/r1/artifacts", "file:///gone/from/here/mlruns"),
        ("runs-of-ours/1/r1/artifacts", "runs-of-ours"),
        ("/gone/single", "/gone/single"),
    ],
)
def test_a_folder_of_another_machine_is_a_fault_and_not_empty(uri: str, root: str) -> None:
    access = open_artifacts(_client(local=True), roots={})
    (fault,) = access.list(_run(uri))
    assert isinstance(fault, ArtifactFault)
    assert (fault.code, fault.retryable) == ("artifact_root", False)
    assert f"--artifact-root {root}=" in fault.reason


def test_an_experiment_without_files_is_empty_where_its_root_is(tmp_path: Path) -> None:
    access = open_artifacts(_client(local=True), roots={"mlflow-artifacts:/": str(tmp_path / "there")})
    assert [*access.list(_run(f"{tmp_path}/1/r1/artifacts"))] == []
    (tmp_path / "there").mkdir()
    assert [*access.list(_run("mlflow-artifacts:/1/r1/artifacts"))] == []
    beside = open_artifacts(_client(local=True, roots={"mlruns": str(tmp_path / "none" / "mlruns")}), roots={})
    assert [*beside.list(_run("mlruns/1/r1/artifacts"))] == []


def test_a_place_that_was_named_wrongly_is_a_fault(tmp_path: Path) -> None:
    access = open_artifacts(_client(local=True), roots={"mlflow-artifacts:/": "/gone/from/here"})
    (fault,) = access.list(_run("mlflow-artifacts:/1/r1/artifacts"))
    assert isinstance(fault, ArtifactFault)
    assert "is not there" in fault.reason
