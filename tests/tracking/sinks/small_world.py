"""One object of each kind with everything that can belong to it, and what a server shows of it, without its ids."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Iterator
from typing import Any

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.stream import Item
from mlflow_archive.tracking.artifacts import ArtifactOwner
from tests.tracking.sinks.making import (
    Target,
    experiment,
    item,
    logged_model,
    registered_model,
    run,
    span,
    trace,
)

API3 = "/api/3.0/mlflow/"
PERSON = {"source_type": "HUMAN", "source_id": "ada"}
PROMPT = {"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": "Hi {{x}}", "_mlflow_prompt_type": "text"}
JUDGE = {
    "name": "judge",
    "aggregations": [],
    "description": None,
    "is_session_level_scorer": False,
    "timeout": 0,
    "mlflow_version": "3.17.2",
    "serialization_version": 1,
}
#: Set by the server at each write, or a place.
VOLATILE = re.compile(
    r"(^|_)(time|timestamp|ms|at|by|location|root|uri|digest|experiment_id|user|run_name|trace_id)$"
    r"|_time_|experiment_ids"
)
PREFIXES = {"": Kind.RUN, "m-": Kind.LOGGED_MODEL, "iss-": Kind.ISSUE, "ls-": Kind.LABEL_SCHEMA}
IDS = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{32}")


class SmallWorld:
    """The objects; everything in it that must be unique on a server is made of ``mark``."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.words: dict[str, str] = {}
        self.home, self.dead = self.name("home"), self.name("dead")
        self.run_a, self.run_b, self.run_c = self.hex("run a"), self.hex("run b"), self.hex("run c")
        self.model_a, self.model_b = f"m-{self.hex('model a')}", f"m-{self.hex('model b')}"
        self.traces = [f"tr-{self.hex(word)}" for word in ("trace 1", "trace 2")]
        self.registered, self.copied, self.prompt = self.name("registered"), self.name("copied"), self.name("prompt")
        self.dataset, self.server = self.name("dataset"), f"io.example/{self.name('server')}"
        self.amount = float(int(self.hex("amount")[:7], 16))

    def name(self, word: str) -> str:
        return f"{word}-{self.mark}"

    def hex(self, word: str) -> str:
        made = uuid.uuid5(uuid.NAMESPACE_OID, f"{word} {self.mark}").hex
        self.words[made] = f"<{word}>"
        return made

    def items(self) -> list[Item]:
        """Return all objects in the order of their kinds."""
        return [*self._experiments(), *self._models(), *self._registry(), *self._traces(), *self._others()]

    def _experiments(self) -> Iterator[Item]:
        yield experiment(self.home, self.home, tags={"a": "1", "b": "2"})
        yield experiment(self.dead, self.dead, lifecycle_stage="deleted")
        dataset = {"dataset": {"name": "d", "digest": "x", "source_type": "local", "source": "{}"}, "tags": []}
        history = {"key": "m", "timestamps": [1, 2], "steps": [0, 1], "values": [0.5, "NaN"]}
        mlmodel = f"artifact_path: model\nrun_id: {self.run_a}\nmodel_id: {self.model_a}\n".encode()
        yield run(
            self.run_a,
            self.home,
            tags={
                "mlflow.parentRunId": self.run_b,
                "mlflow.log-model.history": json.dumps([{"model_id": self.model_a}]),
                "t": "v",
            },
            params={"p": "1"},
            dataset_inputs=[dataset],
            model_inputs=[{"model_id": self.model_b}],
            model_outputs=[{"model_id": self.model_a, "step": 1}],
            files={"a.txt": b"a", "model/MLmodel": mlmodel},
            parts={"metrics": [history]},
        )
        deleted = {"lifecycle_stage": "deleted"}
        outputs = [{"model_id": self.model_b, "step": 0}]
        yield run(self.run_b, self.home, info=deleted, params={"q": "2"}, model_outputs=outputs, files={"b": b"b"})
        yield run(self.run_c, self.dead, params={"r": "3"})

    def _models(self) -> Iterator[Item]:
        def point(run_id: str, value: float) -> dict[str, Any]:
            return {"key": "acc", "value": value, "timestamp": 5, "step": 0, "run_id": run_id}

        versions = json.dumps([{"name": self.registered, "version": 1}])
        yield logged_model(
            self.model_a,
            self.home,
            info={"source_run_id": self.run_a},
            params={"p": "1"},
            tags={"k": "v", "mlflow.modelVersions": versions},
            metrics=[point(self.run_a, 1.0), point(self.run_b, 2.0)],
            files={"MLmodel": f"model_id: {self.model_a}\n".encode()},
        )
        info = {"source_run_id": self.run_b, "lifecycle_stage": "deleted"}
        yield logged_model(self.model_b, self.home, info=info, metrics=[point(self.run_b, 3.0)], params={"x": "y"})

    def _registry(self) -> Iterator[Item]:
        root = f"mlflow-artifacts:/{self.home}/{self.run_a}/artifacts"
        yield registered_model(
            self.registered,
            [
                {"version": 1, "source": root, "run_id": self.run_a, "current_stage": "Staging", "tags": {"k": "v"}},
                {"version": 3, "source": f"models:/{self.model_a}", "description": "three"},
                {"version": 6, "source": "mlflow-artifacts:/9/gone/own", "current_stage": "Production"},
            ],
            aliases={"champion": 3},
            tags={"t": "x"},
            description="d",
            files={"MLmodel": b"flavors: {}\n"},
            role="versions/6/artifacts",
        )
        copy = {"version": 1, "source": f"models:/{self.copied}x/1"}
        yield registered_model(f"{self.copied}x", [{"version": 1, "source": f"models:/{self.registered}/3"}])
        yield registered_model(self.copied, [copy])
        prompts = [{"version": number, "source": "dummy-source", "tags": PROMPT} for number in (1, 3)]
        tags = {"mlflow.prompt.is_prompt": "true", "_mlflow_experiment_ids": f",{self.home},"}
        yield registered_model(self.prompt, prompts, Kind.PROMPT, tags=tags, aliases={"live": 3})

    def _traces(self) -> Iterator[Item]:
        first, second = (f"a-{self.hex(word)}" for word in ("assessment 1", "assessment 2"))
        issue = f"iss-{self.hex('issue 1')}"
        about: dict[str, Any] = {
            "create_time": "2026-01-02T03:04:06Z",
            "last_update_time": "2026-01-02T03:04:06Z",
            "source": PERSON,
        }
        one, two = self.traces
        assessments = [
            {**about, "assessment_id": first, "assessment_name": "f", "feedback": {"value": "bad"}, "valid": False},
            {**about, "assessment_id": second, "assessment_name": "f", "feedback": {"value": 1}, "overrides": first},
            {
                **about,
                "assessment_id": f"a-{self.hex('assessment 3')}",
                "assessment_name": issue,
                "issue": {"issue_name": "slow"},
            },
        ]
        yield trace(
            one,
            self.home,
            spans=[span(one, "0000000000000001"), span(one, "0000000000000002", "0000000000000001")],
            assessments=[{**assessment, "trace_id": one} for assessment in assessments],
            tags={"k": "v"},
            run_ids=[self.run_a],
            files={"attachments/x": b"x"},
            info={"trace_metadata": {"mlflow.sourceRun": self.run_a}},
        )
        feedback = {**about, "assessment_id": f"a-{self.hex('assessment 4')}", "assessment_name": "g", "trace_id": two}
        yield trace(two, self.home, assessments=[{**feedback, "feedback": {"value": True}}])

    def _others(self) -> Iterator[Item]:
        lines = [{"inputs": {"q": number}, "expectations": {"a": "b"}, "tags": {"n": "1"}} for number in range(3)]
        record: dict[str, Any] = {"dataset_id": self.dataset, "name": self.dataset, "tags": {"k": "v"}}
        record["experiment_ids"] = [self.home]
        yield item(Kind.EVALUATION_DATASET, self.dataset, record, parts={"records": lines})
        versions = [
            {"scorer_version": number, "serialized_scorer": json.dumps({**JUDGE, "description": str(number)})}
            for number in (1, 4)
        ]
        scorer = {"experiment_id": self.home, "scorer_name": "judge", "versions": versions}
        yield item(Kind.SCORER, "judge", scorer, experiment_id=self.home)
        default = {"name": "Feedback", "type": "FEEDBACK", "input": {"text": {}}, "is_default": True}
        asked = {"name": "tone", "type": "FEEDBACK", "input": {"text": {}}, "instruction": "Say."}
        schemas = {self.hex(f"schema {payload['name']}"): payload for payload in (default, asked)}
        for schema_id, payload in schemas.items():
            yield self._plain(Kind.LABEL_SCHEMA, f"ls-{schema_id}", {**payload, "schema_id": f"ls-{schema_id}"})
        queue = {"name": "weekly", "queue_type": "CUSTOM", "users": ["ada"]}
        queue_id = f"rq-{self.hex('queue')}"
        done = {"item_id": self.traces[0], "status": "COMPLETE", "completed_by": "ada"}
        items = [done, {"item_id": self.traces[1], "status": "PENDING"}]
        payload = {**queue, "queue_id": queue_id, "schema_ids": [f"ls-{schema_id}" for schema_id in schemas]}
        yield self._plain(Kind.REVIEW_QUEUE, queue_id, payload, {"items": items})
        mine = {"name": "bob", "queue_type": "USER", "users": ["bob"], "queue_id": f"rq-{self.hex('own queue')}"}
        yield self._plain(Kind.REVIEW_QUEUE, mine["queue_id"], mine, {"items": items[1:]})  # type: ignore[arg-type]
        for number in (1, 2):
            issue_id = f"iss-{self.hex(f'issue {number}')}"
            issue = {"name": "slow", "description": "It is.", "status": "pending", "source_run_id": self.run_a}
            yield self._plain(Kind.ISSUE, issue_id, {**issue, "issue_id": issue_id})
        yield from self._of_the_server()

    def _of_the_server(self) -> Iterator[Item]:
        budget = {"budget_unit": "USD", "budget_amount": self.amount, "target_scope": "GLOBAL"}
        budget |= {"duration": {"unit": "DAYS", "value": 30}, "budget_action": "ALERT"}
        yield item(Kind.BUDGET_POLICY, "bp", {"name": "bp", "payload": budget})
        yield mcp_server(self.server)
        hook = {
            "webhook_id": "hook",
            "name": self.name("hook"),
            "url": f"https://127.0.0.1:9/{self.mark}",
            "status": "ACTIVE",
        }
        hook["events"] = [{"entity": "REGISTERED_MODEL", "action": "CREATED"}]  # type: ignore[assignment]
        yield item(Kind.WEBHOOK, "hook", hook)

    def _plain(self, kind: Kind, id: str, payload: dict[str, Any], details: dict[str, Any] | None = None) -> Item:
        record = {"name": payload["name"], "payload": payload, "details": details or {}}
        return item(kind, id, record, experiment_id=self.home, name=payload["name"])


def mcp_server(name: str) -> Item:
    """An MCP server with versions in all states, tags, aliases and endpoints."""
    remote = [{"type": "streamable-http", "url": "https://example.com/mcp"}]
    versions = [
        {
            "name": name,
            "version": f"1.{number}.0",
            "server_json": {"name": name, "version": f"1.{number}.0", "description": "d", "remotes": remote},
            "status": status,
            "source": "https://example.com/r",
            "tags": {"tested": "yes"},
            "creation_timestamp": number,
        }
        for number, status in enumerate(("deprecated", "active", "draft"))
    ]
    endpoints = [
        {"url": "https://example.com/1", "transport_type": "streamable-http", "server_alias": "stable"},
        {"url": "https://example.com/2", "transport_type": "sse", "server_version": "1.0.0"},
    ]
    payload = {
        "name": name,
        "description": "Weather.",
        "display_name": "Weather",
        "tags": {"team": "blue"},
        "aliases": [{"alias": "stable", "version": "1.1.0"}],
    }
    record = {"name": name, "payload": payload, "details": {"versions": versions, "access_endpoints": endpoints}}
    return item(Kind.MCP_SERVER, name, record, name=name)


class Shown:
    """What the server shows of a small world."""

    def __init__(self, target: Target, world: SmallWorld, ids: Any) -> None:
        """Look at the objects that a restore made; ``ids`` is its map."""
        self._target = target
        self._world = world
        self._ids = ids

    def all(self) -> dict[str, Any]:
        """Return everything, with words instead of ids and without times."""
        words = {self._new(source): word for source, word in self._world.words.items()} | self._world.words
        words.pop("", None)
        text = json.dumps(dict(self._read()), sort_keys=True)
        text = re.sub("|".join(map(re.escape, words)), lambda match: words[match[0]], text)
        text = text.replace(self._world.mark, "*").replace(str(self._world.amount), "0")
        text = IDS.sub("<id>", re.sub(r"mlflow-artifacts:/\d+/", "mlflow-artifacts:/N/", text))
        return _stable(json.loads(text))  # type: ignore[no-any-return]

    def _new(self, source: str) -> str:
        for prefix, kind in PREFIXES.items():
            if found := self._ids.get(kind, prefix + source):
                return str(found).removeprefix(prefix)
        return ""

    def _read(self) -> Iterator[tuple[str, Any]]:
        get, post = self._target.get, self._target.post
        for name in (self._world.home, self._world.dead):
            found = get("experiments/get-by-name", experiment_name=name)["experiment"]
            yield f"experiment {name}", found
            listed = post("runs/search", experiment_ids=[found["experiment_id"]], run_view_type="ALL").get("runs", [])
            runs = [get("runs/get", run_id=one["info"]["run_id"])["run"] for one in listed]
            for one in runs:
                one["tags"] = [tag for tag in one["data"].pop("tags") if tag["key"] != "mlflow.runName"]
            yield f"runs {name}", runs
            yield f"files {name}", [self._files(Kind.RUN, one["info"]["run_id"], one["info"]) for one in runs]
        home = get("experiments/get-by-name", experiment_name=self._world.home)["experiment"]["experiment_id"]
        yield "models", post("logged-models/search", experiment_ids=[home]).get("models", [])
        yield from self._registry()
        carriers = get("experiments/get-by-name", experiment_name="Files of restored model versions")["experiment"]
        found = post("runs/search", experiment_ids=[carriers["experiment_id"]], max_results=5000)["runs"]
        yield "carriers", [one for one in found if self._world.mark in one["info"]["run_name"]]
        yield from self._traces(home)
        yield from self._rest(home)

    def _registry(self) -> Iterator[tuple[str, Any]]:
        world, get = self._world, self._target.get
        for name in (world.registered, world.copied, f"{world.copied}x", world.prompt):
            model = get("registered-models/get", name=name)["registered_model"]
            yield f"registry {name}", {tag["key"]: tag["value"] for tag in model.pop("tags")} | model
            clause = " AND tag.`mlflow.prompt.is_prompt` = 'true'" if name == world.prompt else ""
            yield f"versions {name}", get("model-versions/search", filter=f"name='{name}'{clause}")

    def _traces(self, home: str) -> Iterator[tuple[str, Any]]:
        location = {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": home}}
        for name in self._world.traces:
            yield f"trace {name}", self._target.get(f"{API3}traces/{name}")
            owner = self._target.get(f"{API3}traces/{name}")["trace"]["trace_info"]["tags"]["mlflow.artifactLocation"]
            yield f"files {name}", self._files(Kind.TRACE, name, {"artifact_uri": owner})
        yield "spans", self._target.get(f"{API3}traces/get", trace_id=self._world.traces[0])
        run_id = self._ids.get(Kind.RUN, self._world.run_a)
        linked = f"request_metadata.`mlflow.sourceRun` = '{run_id}'"
        answer = self._target.post(f"{API3}traces/search", locations=[location], filter=linked)
        yield "linked", [entry["trace_id"] for entry in answer.get("traces", [])]

    def _rest(self, home: str) -> Iterator[tuple[str, Any]]:
        get, post, world = self._target.get, self._target.post, self._world
        found = post(f"{API3}datasets/search", experiment_ids=[home]).get("datasets", [])
        yield "datasets", [{**one, "tags": json.loads(one["tags"])} for one in found]
        records = [get(f"{API3}datasets/{one['dataset_id']}/records")["records"] for one in found]
        yield "records", [json.loads(text) for text in records]
        yield "scorers", get(f"{API3}scorers/versions", experiment_id=home, name="judge")
        yield "schemas", get(f"{API3}label-schemas/list", experiment_id=home)
        queues = get(f"{API3}review-queues/list", experiment_id=home)["review_queues"]
        yield "queues", queues
        yield "items", [get(f"{API3}review-queues/items/list", queue_id=one["queue_id"]) for one in queues]
        yield "issues", post(f"{API3}issues/search", experiment_id=home)
        budgets = get(f"{API3}gateway/budgets/list", max_results=1000)["budget_policies"]
        yield "budgets", [one for one in budgets if one["budget_amount"] == world.amount]
        hooks = get("webhooks", max_results=1000)["webhooks"]
        yield "webhooks", [one for one in hooks if world.mark in one["url"]]
        try:
            yield "mcp server", get(f"{API3}mcp-servers/{world.server}")
            yield "mcp versions", get(f"{API3}mcp-servers/{world.server}/versions")
            yield "mcp endpoints", get(f"{API3}mcp-servers/{world.server}/endpoints")
        except NotFoundError:
            yield "mcp server", None

    def _files(self, kind: Kind, id: str, info: dict[str, Any]) -> dict[str, str]:
        owner = ArtifactOwner(kind, id, info["artifact_uri"])
        files = self._target.files
        return {file.name: files.read(owner, file.name).decode() for file in files.list(owner)}


def _stable(value: Any) -> Any:
    """Leave out what differs from restore to restore, and the order of lists."""
    if isinstance(value, dict):
        return {key: _stable(one) for key, one in value.items() if not VOLATILE.search(key) and "source_uri" not in key}
    if isinstance(value, list):
        return sorted((_stable(one) for one in value), key=lambda one: json.dumps(one, sort_keys=True))
    return value
