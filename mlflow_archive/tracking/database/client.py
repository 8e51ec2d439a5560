"""A `ServerClient` without a server: the REST calls of `mlflow_archive.tracking.sources`, answered by SQL.

So the records of a backup by SQL are those of a backup over the API, and selections, closures and losses are the
same code. Only reading calls are answered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from importlib import import_module
from urllib.parse import unquote

from mlflow_archive.errors import NotFoundError, UnsupportedError
from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.database.answers.metrics import TableOfMetrics
from mlflow_archive.tracking.database.asking import DEFAULT_WORKSPACE, Question, Route
from mlflow_archive.tracking.database.dump import DatabaseDump
from mlflow_archive.tracking.database.leaving_out import VERSION_TABLE
from mlflow_archive.tracking.database.revisions import release_after, release_of
from mlflow_archive.tracking.database.secrets import PLAIN, TableWishes
from mlflow_archive.tracking.database.snapshot import Snapshot
from mlflow_archive.tracking.database.trace_rows import TraceRows
from mlflow_archive.tracking.database.unplaced import unplaced_notes

#: Modules of `mlflow_archive.tracking.database.answers`.
_FAMILIES = (
    "experiments",
    "runs",
    "logged_models",
    "traces",
    "registered_models",
    "webhooks",
    "workspaces",
    "evaluation_datasets",
    "scorers",
    "label_schemas",
    "review_queues",
    "issues",
    "gateway",
    "mcp_servers",
)
#: Kind -> the table without which a database has none.
TABLES: dict[Kind, str] = {
    Kind.DATABASE: VERSION_TABLE,
    Kind.EXPERIMENT: "experiments",
    Kind.RUN: "runs",
    Kind.LOGGED_MODEL: "logged_models",
    Kind.TRACE: "trace_info",
    Kind.WORKSPACE: "workspaces",
    Kind.REGISTERED_MODEL: "registered_models",
    Kind.PROMPT: "registered_models",
    Kind.EVALUATION_DATASET: "evaluation_datasets",
    Kind.SCORER: "scorers",
    Kind.LABEL_SCHEMA: "label_schemas",
    Kind.REVIEW_QUEUE: "review_queues",
    Kind.ISSUE: "issues",
    Kind.GATEWAY_MODEL_DEFINITION: "model_definitions",
    Kind.GATEWAY_ENDPOINT: "endpoints",
    Kind.BUDGET_POLICY: "budget_policies",
    Kind.GUARDRAIL: "guardrails",
    Kind.MCP_SERVER: "mcp_servers",
    Kind.WEBHOOK: "webhooks",
}


class DatabaseClient:
    """Answers as the server of a database would; see `ServerClient` for what its methods promise.

    Attributes:
        snapshot: The database; closed with the client.
        only_kinds: The kinds whose tables are there.
        of_database: What a manifest says of the database.
        steady: Nothing changes while it is read.
        shows_all: Searches hide nothing.
        histories: Metric histories by SQL.
        dump: Its tables as they are.
        trace_store: Spans and links of many traces at once.
        answers_for_deleted: What belongs to deleted experiments is answered for, which a server refuses.
        search_tells_locations: A search for versions of a model also says where their files are.
    """

    local = True
    steady = True
    shows_all = True
    answers_for_deleted = True
    search_tells_locations = True
    invented_experiment_ids: frozenset[str] = frozenset()

    def __init__(self, snapshot: Snapshot, *, auth: Snapshot | None = None, wishes: TableWishes = PLAIN) -> None:
        """Answer from a snapshot; ``auth`` is that of the basic-auth database, closed with the client as well."""
        self.dump = DatabaseDump(snapshot, auth, wishes)
        self._auth = auth
        self.snapshot = snapshot
        self.uri = snapshot.address.shown
        self.version = release_of(snapshot.revision)
        self.of_database: Mapping[str, str] = {"dialect": snapshot.dialect, "revision": snapshot.revision}
        self.only_kinds = frozenset(kind for kind, table in TABLES.items() if snapshot.has(table))
        # MLflow has no index for the question which runs an experiment has; with 10,000 experiments it is asked often.
        snapshot.index("runs", "experiment_id", "run_uuid")
        self.histories = TableOfMetrics(snapshot)
        self.artifact_roots: Mapping[str, str] = _artifact_roots(snapshot)
        self._routes = [(route, route.pattern) for route in _routes()]
        self.trace_store = TraceRows(snapshot)
        self._calls = 0
        self._lock = threading.Lock()

    def notes(self) -> tuple[str, ...]:
        """Say what of the database is in no answer."""
        return unplaced_notes(self.snapshot)

    @property
    def request_count(self) -> int:
        """How many calls were answered."""
        return self._calls

    def at_least(self, version: str) -> bool:
        """Tell whether this MLflow version or a later one can have left the schema as it is."""
        following = release_after(self.snapshot.revision)
        return following is None or _numbers(version) < _numbers(following)

    def call(
        self,
        method: str,
        path: str,
        *,
        params: Mapping[str, object] | list[tuple[str, str]] | None = None,
        body: JSONObject | None = None,
        workspace: str | None = None,
        repeatable: bool = True,  # noqa: ARG002 - the protocol's; nothing is sent
    ) -> JSONObject:
        """Answer one reading call.

        Raises:
            NotFoundError: No such object, or this cannot be asked of a database.
            UnavailableError: The database does not answer.
        """
        with self._lock:
            self._calls += 1
        for route, pattern in self._routes:
            found = pattern.fullmatch(path) if route.method == method else None
            if found is not None:
                named = {name: unquote(value) for name, value in found.groupdict().items()}
                asked = body if body is not None else _query(params)
                return route.answer(Question(self.snapshot, asked, workspace or DEFAULT_WORKSPACE, named))
        raise NotFoundError(f"A database does not answer {method} {path}.", code="endpoint_not_found")

    def download(
        self,
        path: str,
        *,
        params: Mapping[str, str] | None = None,  # noqa: ARG002 - the protocol's
        workspace: str | None = None,  # noqa: ARG002
    ) -> AbstractContextManager[Iterator[bytes]]:
        """Refuse: a database holds no files."""
        raise self._no_files(path)

    def upload(
        self,
        method: str,  # noqa: ARG002 - the protocol's
        path: str,
        data: Iterator[bytes] | bytes,  # noqa: ARG002
        *,
        headers: Mapping[str, str] | None = None,  # noqa: ARG002
        workspace: str | None = None,  # noqa: ARG002
    ) -> bytes:
        """Refuse: the database is only read."""
        raise self._no_files(path)

    def close(self) -> None:
        """End the snapshots."""
        self.snapshot.close()
        if self._auth is not None:
            self._auth.close()

    def _no_files(self, path: str) -> UnsupportedError:
        return UnsupportedError(
            f"{self.uri} is a database without a server, which has no {path}: say where the files are by "
            "--artifact-root.",
            code="no_server",
        )


def _routes() -> Iterator[Route]:
    for family in _FAMILIES:
        yield from import_module(f"mlflow_archive.tracking.database.answers.{family}").ROUTES


def _query(params: Mapping[str, object] | list[tuple[str, str]] | None) -> Mapping[str, JSONValue]:
    result: dict[str, JSONValue] = {}
    for name, value in params.items() if isinstance(params, Mapping) else params or ():
        known = result.get(name)
        if isinstance(known, list):
            known.append(str(value))
        else:
            result[name] = str(value) if known is None else [known, str(value)]
    return result


def _artifact_roots(snapshot: Snapshot) -> dict[str, str]:
    """Return where the paths of a SQLite file's server lead; see `EmbeddedClient.artifact_roots`."""
    if snapshot.folder is None:
        return {}
    folder = snapshot.folder
    roots = {"./": str(folder), "mlruns": str(folder / "mlruns"), "mlartifacts": str(folder / "mlartifacts")}
    destination = folder / "mlartifacts"
    return {**roots, "mlflow-artifacts:/": str(destination)} if destination.is_dir() else roots


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".") if part.isdigit())
