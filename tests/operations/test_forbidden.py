"""A user who may not touch one object loses that object; one who may do nothing is told so at once."""

from __future__ import annotations

import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from mlflow_archive.errors import FORBIDDEN, ExitCode, NotAuthorisedError, NotFoundError
from mlflow_archive.operations.transfer import MAX_FORBIDDEN, transfer
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.selection import Selection
from tests.operations.ends import MemorySink, MemorySource, item


def _refused() -> NotAuthorisedError:
    return NotAuthorisedError("POST /runs/create is forbidden for this user (status 403).", code=FORBIDDEN)


def _runs(count: int) -> MemorySource:
    return MemorySource([item(Kind.RUN, str(number), experiment_id="1") for number in range(count)])


def test_one_forbidden_object_is_a_loss() -> None:
    def act(one):
        if one.key.id == "1":
            raise _refused()

    report = transfer(_runs(3), MemorySink(act), Selection())
    assert [(loss.id, loss.code) for loss in report.losses] == [("1", FORBIDDEN)]
    assert report.counts["run"].stored == 2


@pytest.mark.parametrize("count", [1, 3, 5 * MAX_FORBIDDEN])
def test_a_user_who_may_do_nothing_is_not_authorised(count: int) -> None:
    tried = []

    def act(one):
        tried.append(one.key.id)
        raise _refused()

    sink = MemorySink(act)
    with pytest.raises(NotAuthorisedError) as caught:
        transfer(_runs(count), sink, Selection(), parallelism=2)
    assert caught.value.exit_code is ExitCode.NOT_AUTHORISED
    assert "Nothing was moved" in str(caught.value)
    assert len(tried) <= MAX_FORBIDDEN + 8
    assert sink.finished is None


def test_what_is_lost_after_a_forbidden_experiment_changes_nothing() -> None:
    def act(one):
        raise _refused() if one.key.kind is Kind.EXPERIMENT else NotFoundError("The experiment is not at the target.")

    entries = [item(Kind.EXPERIMENT, "1"), item(Kind.RUN, "a", experiment_id="1")]
    with pytest.raises(NotAuthorisedError):
        transfer(MemorySource(entries), MemorySink(act), Selection())


@pytest.mark.parametrize("served", ["", "/version"])
def test_a_server_that_refuses_its_first_calls_is_exit_code_4(served: str) -> None:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            good = served and self.path.startswith(served)
            self.send_response(200 if good else 403)
            self.end_headers()
            self.wfile.write(b"3.17.2" if good else b"Permission denied")

        do_POST = do_GET  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Keep quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        arguments = ["--tracking-uri", f"http://127.0.0.1:{server.server_port}", "--dry-run"]
        done = subprocess.run(
            [sys.executable, "-m", "mlflow_archive", "backup", "never", *arguments], capture_output=True, check=False
        )
        server.shutdown()
    assert done.returncode == ExitCode.NOT_AUTHORISED, done.stderr
