"""Repack, doctor, samples and containers on the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from mlflow_archive.cli.main import cli
from mlflow_archive.operations import doctor as doctor_module
from mlflow_archive.operations.store_speed import Extent


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(argument) for argument in arguments])


@pytest.fixture(autouse=True)
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure with little."""
    monkeypatch.setattr(doctor_module, "Extent", lambda: Extent(stream_bytes=1 << 20, small_objects=5))


@pytest.mark.parametrize("arguments", [["copy"], ["copy.tar.zst"], ["copy", "--container", "volumes"]], ids=" ".join)
def test_repack_tells_the_digest_of_both(small_archive: Path, tmp_path: Path, arguments: list[str]) -> None:
    name, *options = arguments
    result = run("repack", small_archive, tmp_path / name, *options)

    assert result.exit_code == 0, result.output + result.stderr
    digests = re.findall(r"[0-9a-f]{64}", result.output)
    assert len(digests) == 2
    assert len(set(digests)) == 1
    assert "the same on both sides" in result.output
    assert run("verify", tmp_path / name, "--digest", digests[0], "--level", "restorable").exit_code == 0
    assert run("ls", tmp_path / name).exit_code == 0
    assert run("diff", small_archive, tmp_path / name).exit_code == 0


def test_repack_as_json_goes_on(small_archive: Path, tmp_path: Path) -> None:
    assert run("repack", small_archive, tmp_path / "copy", "--quiet").output == ""
    (tmp_path / "copy" / "manifest.json").unlink()

    result = run("repack", small_archive, tmp_path / "copy", "--resume", "--json")

    report = json.loads(result.stdout)
    assert report["kept_files"] == report["files"] - 2
    assert report["kept_bytes"] > 0


def test_repack_of_a_damaged_archive_is_exit_5(small_archive: Path, tmp_path: Path) -> None:
    (small_archive / "README.txt").write_bytes(b"something else")

    result = run("repack", small_archive, tmp_path / "copy.tar")

    assert result.exit_code == 5
    assert "README.txt" in result.stderr
    assert not (tmp_path / "copy.tar").exists()


@pytest.mark.parametrize(
    ("options", "exit_code"),
    [
        (["copy.tar.zst", "--resume"], 2),
        (["copy", "--container", "tarball", "--resume"], 2),
        (["copy.tar.gz", "--container", "tree"], 2),
        (["copy", "--level", "3"], 2),
        (["copy", "--container", "boxes"], 2),
        (["copy", "--max-mib-per-s", "0"], 2),
        (["small"], 7),
    ],
    ids=str,
)
def test_what_cannot_be_is_refused(small_archive: Path, tmp_path: Path, options: list[str], exit_code: int) -> None:
    result = run("repack", small_archive, tmp_path / options[0], *options[1:])

    assert result.exit_code == exit_code, result.output


def test_backup_to_a_tarball_is_not_gone_on_with(tmp_path: Path) -> None:
    result = run("backup", tmp_path / "a.tar.zst", "--resume", "--tracking-uri", "http://127.0.0.1:9")

    assert result.exit_code == 2
    assert "volumes" in result.stderr


def test_verify_says_what_share_was_read(small_archive: Path) -> None:
    result = run("verify", small_archive, "--sample", "50%")
    assert result.exit_code == 0
    assert "valid as far as it was read" in result.output
    found = re.search(r"Sample: the bytes of (\d+) of (\d+) files were read", result.output)
    assert found is not None
    assert 0 <= int(found[1]) <= int(found[2])

    documents = [
        json.loads(run("verify", small_archive, "--sample", "0.5", "--sample-seed", seed, "--json").stdout)["sample"]
        for seed in ("a", "a", "b", "c", "d", "e")
    ]
    assert documents[0] == documents[1]
    assert len({document["size_bytes"] for document in documents}) > 1
    assert documents[0]["share"] == 0.5
    assert json.loads(run("verify", small_archive, "--json").stdout)["sample"] is None


@pytest.mark.parametrize("level", ["complete", "restorable"])
def test_a_sample_goes_with_level_valid(small_archive: Path, level: str) -> None:
    result = run("verify", small_archive, "--sample", "10%", "--level", level)

    assert result.exit_code == 2
    assert "level valid" in result.stderr


def test_verify_names_damage_of_a_tarball(small_archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "copy.tar"
    assert run("repack", small_archive, place).exit_code == 0
    readme = (small_archive / "README.txt").read_bytes()
    data = place.read_bytes()
    assert data.count(readme) == 1
    place.write_bytes(data.replace(readme, readme.replace(b"a", b"b", 1)))

    result = run("verify", place)

    assert result.exit_code == 5
    assert "E042 README.txt" in result.output


def test_a_missing_volume_is_named(small_archive: Path, tmp_path: Path) -> None:
    place = tmp_path / "copy"
    assert run("repack", small_archive, place, "--container", "volumes").exit_code == 0
    (volume,) = (place / "volumes").iterdir()
    volume.unlink()

    result = run("verify", place)

    assert result.exit_code == 5
    assert volume.name in result.output


def test_doctor_reads_well(tmp_path: Path) -> None:
    result = run("doctor", tmp_path)

    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert "Measuring ..." in result.stderr
    assert lines[0] == f"{tmp_path}: good for archives"
    assert sum(line.startswith("  ok ") for line in lines) == 10
    assert "What this means for backups:" in lines
    assert max(map(len, lines)) <= 110
    assert list(tmp_path.iterdir()) == []


def test_doctor_as_json(tmp_path: Path) -> None:
    document = json.loads(run("doctor", tmp_path, "--seed", "3", "--json").stdout)

    assert (document["ok"], document["seed"], document["url"]) == (True, 3, str(tmp_path))


def test_doctor_of_no_place_is_a_usage_error() -> None:
    assert run("doctor", "nosuch://x/y").exit_code == 2
