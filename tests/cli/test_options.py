"""What a command hands to the library."""

from __future__ import annotations

from typing import Any

import pytest
from click.testing import CliRunner

from mlflow_archive import api
from mlflow_archive.cli.main import cli
from mlflow_archive.errors import NotFoundError


class CalledError(NotFoundError):
    """Ends a command at the call of the library."""


@pytest.fixture
def called(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Runs nothing: the arguments of the call come here."""
    seen: dict[str, Any] = {}

    def catch(*args: Any, **kwargs: Any) -> None:
        seen.update(kwargs, args=args)
        seen.pop("observer", None)
        raise CalledError("called")

    for name in ("backup", "restore", "verify", "diff", "ls", "show", "repack", "doctor", "demo"):
        monkeypatch.setattr(api, name, catch)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    return seen


def run(*arguments: str) -> None:
    result = CliRunner().invoke(cli, arguments)
    assert "called" in result.stderr, result.output


NOTHING_CHOSEN = {
    "experiments": (),
    "run_filter": None,
    "models": None,
    "prompts": None,
    "since": None,
    "until": None,
    "without": (),
    "only": (),
    "deleted": True,
    "run_ids": (),
    "with_children": False,
    "logged_model_ids": (),
    "trace_ids": (),
    "datasets": None,
    "stages": (),
    "versions": (),
    "latest_versions": False,
    "prompt_versions": (),
    "whole_experiments": False,
}


AS_THE_NAME_SAYS = {
    "container": None,
    "compression": None,
    "level": None,
    "volume_bytes": 1 << 30,
    "buffer_bytes": 256 << 20,
    "max_bytes_per_second": None,
}


def test_backup_without_options(called: dict[str, Any]) -> None:
    run("backup", "dest")

    assert called == {
        "args": (None, "dest"),
        "parallelism": 8,
        "resume": False,
        "dry_run": False,
        "artifact_roots": {},
        "storage_options": {},
        "artifact_options": {},
        "notebook_formats": (),
        "permissions": False,
        "secrets": (),
        "auth_database": None,
        **AS_THE_NAME_SAYS,
        **NOTHING_CHOSEN,
        "version_files": False,
    }


def test_the_destination_of_a_server_is_a_root(called: dict[str, Any]) -> None:
    run("backup", "dest", "--artifacts-destination", "s3://bucket/root", "--artifact-root", "/old=/new")
    assert called["artifact_roots"] == {"/old": "/new", "mlflow-artifacts:/": "s3://bucket/root"}


def test_backup_with_all_options(called: dict[str, Any]) -> None:
    run(
        *["backup", "s3://bucket/dest", "--tracking-uri", "http://localhost:5000", "--resume", "--dry-run"],
        *["--experiment", "iris", "--experiment", "test-*", "--run-filter", "metrics.f1 > 0.9"],
        *["--model", "m", "--prompt", "p1", "--prompt", "p2", "--since", "2026-01-01", "--until", "2026-02-01T12:00Z"],
        *["--without", "artifacts,traces", "--without", "webhooks", "--only", "runs,traces", "--parallel", "3"],
        *["--artifact-root", "mlflow-artifacts:/=s3://bucket/root", "--artifact-root", "a=b=file:///c"],
        *["--storage-option", "endpoint_url=http://localhost:9000/?a=b", "--artifact-option", "anon=false"],
        *["--artifact-option", 'client_kwargs={"region_name": "eu-1"}', "--artifact-option", "max_concurrency=4"],
        *["--container", "volumes", "--compression", "zstd", "--level", "3", "--volume-mib", "512"],
        *["--buffer-mib", "128", "--max-mib-per-s", "1.5"],
        *["--run-id", "r1", "--run-id", "r2", "--with-children", "--logged-model-id", "m-1", "--trace-id", "tr-1"],
        *["--dataset", "questions", "--stage", "production", "--model-version", "3", "--model-version", "4"],
        *["--latest-versions", "--prompt-version", "2", "--whole-experiments", "--version-files", "--no-deleted"],
        *["--notebook-formats", "SOURCE,HTML", "--permissions"],
        *["--with", "job-tokens", "--with", "gateway-secrets", "--auth-database", "sqlite:///auth.db"],
    )

    assert called == {
        "args": ("http://localhost:5000", "s3://bucket/dest"),
        "parallelism": 3,
        "resume": True,
        "dry_run": True,
        "artifact_roots": {"mlflow-artifacts:/": "s3://bucket/root", "a=b": "file:///c"},
        "storage_options": {"endpoint_url": "http://localhost:9000/?a=b"},
        "artifact_options": {"anon": False, "client_kwargs": {"region_name": "eu-1"}, "max_concurrency": 4},
        "container": "volumes",
        "compression": "zstd",
        "level": 3,
        "volume_bytes": 512 << 20,
        "buffer_bytes": 128 << 20,
        "max_bytes_per_second": 1.5 * (1 << 20),
        "experiments": ("iris", "test-*"),
        "run_filter": "metrics.f1 > 0.9",
        "models": ("m",),
        "prompts": ("p1", "p2"),
        "since": "2026-01-01",
        "until": "2026-02-01T12:00Z",
        "without": ("artifacts", "traces", "webhooks"),
        "only": ("runs", "traces"),
        "run_ids": ("r1", "r2"),
        "with_children": True,
        "logged_model_ids": ("m-1",),
        "trace_ids": ("tr-1",),
        "datasets": ("questions",),
        "stages": ("Production",),
        "versions": (3, 4),
        "latest_versions": True,
        "prompt_versions": (2,),
        "whole_experiments": True,
        "version_files": True,
        "deleted": False,
        "notebook_formats": ("SOURCE", "HTML"),
        "permissions": True,
        "secrets": ("job-tokens", "gateway-secrets"),
        "auth_database": "sqlite:///auth.db",
    }


def test_restore_without_options(called: dict[str, Any]) -> None:
    run("restore", "src")

    assert called == {
        "args": ("src", None),
        "if_exists": "skip",
        "rename_experiments": {},
        "rename_models": {},
        "into_experiment": None,
        "experiment_prefix": "",
        "replace": (),
        "source_tags": None,
        "keep_user": True,
        "activate": False,
        "exact": False,
        "move_artifacts": {},
        "start_over": False,
        "auth_database": None,
        "parallelism": 8,
        "dry_run": False,
        "artifact_roots": {},
        "storage_options": {},
        "artifact_options": {},
        "notebook_folder": None,
        "permissions": False,
        **NOTHING_CHOSEN,
    }


def test_restore_with_its_own_options(called: dict[str, Any]) -> None:
    run(
        *["restore", "src", "--if-exists", "update", "--activate", "--rename-experiment", "a=b"],
        *["--rename-experiment", "c=d", "--rename-model", "m=n", "--experiment", "a"],
        *["--notebook-folder", "/Shared/books", "--permissions"],
    )

    assert called["if_exists"] == "update"
    assert called["activate"] is True
    assert called["rename_experiments"] == {"a": "b", "c": "d"}
    assert called["rename_models"] == {"m": "n"}
    assert (called["notebook_folder"], called["permissions"]) == ("/Shared/books", True)
    assert called["experiments"] == ("a",)


def test_the_tracking_uri_comes_from_the_environment(called: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://from-the-environment")

    run("backup", "dest")

    assert called["args"] == ("http://from-the-environment", "dest")


def test_verify(called: dict[str, Any]) -> None:
    run("verify", "url", "--digest", "ab", "--parallel", "2", "--level", "complete")

    assert called == {
        "args": ("url",),
        "level": "complete",
        "digest": "ab",
        "sample": None,
        "sample_seed": "",
        "parallelism": 2,
        "storage_options": {},
    }


def test_diff(called: dict[str, Any]) -> None:
    run("diff", "left", "right", "--without", "artifacts")

    assert called == {
        "args": ("left", "right"),
        "artifacts": False,
        "parallelism": 8,
        "storage_options": {},
        "src_storage_options": {},
        "dst_storage_options": {},
        **NOTHING_CHOSEN,
        "without": ("artifacts",),
    }


@pytest.mark.parametrize(("word", "share"), [("10%", 0.1), ("0.25", 0.25), ("100%", 1.0), ("0.5 %", 0.005)])
def test_verify_takes_a_sample(called: dict[str, Any], word: str, share: float) -> None:
    run("verify", "url", "--sample", word, "--sample-seed", "monday")

    assert (called["sample"], called["sample_seed"]) == (pytest.approx(share), "monday")


@pytest.mark.parametrize("word", ["0", "101%", "2", "ten", "-1%", "nan"])
def test_a_sample_that_is_none_is_refused(word: str) -> None:
    result = CliRunner().invoke(cli, ["verify", "url", "--sample", word])

    assert result.exit_code == 2
    assert "is not a share" in result.stderr


def test_repack(called: dict[str, Any]) -> None:
    run(
        *["repack", "src", "dst.tar.zst", "--storage-option", "a=1", "--src-storage-option", "b=2"],
        *["--dst-storage-option", "c=3", "--resume", "--parallel", "4", "--container", "tarball"],
    )

    assert called == {
        "args": ("src", "dst.tar.zst"),
        "parallelism": 4,
        "resume": True,
        "storage_options": {"a": 1},
        "src_storage_options": {"b": 2},
        "dst_storage_options": {"c": 3},
        **AS_THE_NAME_SAYS,
        "container": "tarball",
    }


def test_doctor(called: dict[str, Any]) -> None:
    run("doctor", "s3://bucket/place", "--seed", "7", "--storage-option", "anon=true")

    assert called == {
        "args": ("s3://bucket/place",),
        "seed": 7,
        "parallelism": 8,
        "storage_options": {"anon": True},
    }


def test_storage_options_are_read_and_nested(called: dict[str, Any]) -> None:
    settings = [
        "client_kwargs.endpoint_url=http://localhost:9000/?a=b",
        "client_kwargs.verify=false",
        'config_kwargs={"retries": {"max_attempts": 2}}',
        "config_kwargs.read_timeout=5",
        "anon=True",
        "token=None",
        "empty=",
        "key=NaN",
        'digits="0123"',
    ]

    run("ls", "url", *(word for setting in settings for word in ("--storage-option", setting)))

    assert called["storage_options"] == {
        "client_kwargs": {"endpoint_url": "http://localhost:9000/?a=b", "verify": False},
        "config_kwargs": {"retries": {"max_attempts": 2}, "read_timeout": 5},
        "anon": True,
        "token": None,
        "empty": "",
        "key": "NaN",
        "digits": "0123",
    }


@pytest.mark.parametrize("command", [["backup", "d"], ["restore", "s"], ["verify", "u"], ["ls", "u"], ["doctor", "u"]])
@pytest.mark.parametrize("settings", [["hunter2"], ["=hunter2"], ["a..b=hunter2"], ["a=hunter2", "a.b=hunter2"]])
def test_no_message_shows_the_value_of_a_setting(command: list[str], settings: list[str]) -> None:
    words = [word for setting in settings for word in ("--storage-option", setting)]

    result = CliRunner().invoke(cli, [*command, *words])

    assert result.exit_code == 2
    assert "hunter2" not in result.output + result.stderr


def test_ls_show_and_demo(called: dict[str, Any]) -> None:
    run("ls", "url", "--experiment", "iris", "--kind", "runs")
    assert called == {"args": ("url",), "kind": "runs", "experiment": "iris", "storage_options": {}}
    called.clear()

    run("show", "url", "churn", "--kind", "models", "--storage-option", "anon=true")
    assert called == {"args": ("url", "churn"), "kind": "models", "storage_options": {"anon": True}}
    called.clear()

    run("demo", "--directory", "here")
    assert called == {"args": ("here",)}
