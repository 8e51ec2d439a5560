"""Vectors that break no rule."""

from __future__ import annotations

from mlflow_archive.spec.kinds import Kind
from tests.spec.building import Builder, T, Thing
from tests.spec.worlds import (
    MODEL,
    RUN,
    bare_run,
    database,
    evaluation_dataset,
    experiment,
    logged_model,
    losses,
    registered_model,
    run,
    server_object,
    small,
    trace,
)


def valid() -> list[tuple[str, str, Builder]]:
    """Return name, sentence and archive of each."""
    return [
        ("empty", "An archive of a server that has nothing.", Builder([])),
        ("small", "One experiment, one run with a metric, a parameter and a file.", small()),
        ("every-kind", "One object of each kind, referring to each other.", Builder(_every_kind())),
        ("numbers", "Metric values that JSON numbers cannot hold, and integers beyond 2^53.", Builder(_numbers())),
        ("names", "Names that are no path segments as they are.", Builder(_names())),
        ("unknown-fields", "Fields of a later minor version or a later MLflow, which E014 protects.", _unknown()),
        ("partial", "Something could not be read, and the archive says so.", _partial()),
        ("workspaces", "The same experiment id in two workspaces.", Builder(_workspaces())),
        ("version-gaps", "A registered model with a deleted version, a stage and aliases.", Builder(_gaps())),
        ("deleted", "A deleted experiment with a deleted run.", Builder(_deleted())),
    ]


def _every_kind() -> list[Thing]:
    owner = run(model_outputs=[{"model_id": MODEL, "step": 1}])
    child = bare_run("1" * 32, tags={"mlflow.parentRunId": RUN})
    version = {"version": 1, "run_id": RUN, "model_id": MODEL, "source": f"models:/{MODEL}", "tags": {"stage": "qa"}}
    prompt = registered_model("greeting", tags={"mlflow.prompt.is_prompt": "true"})
    prompt.kind = Kind.PROMPT
    prompt.record["versions"] = [
        {"version": 1, "source": "dummy-source", "tags": {"mlflow.prompt.text": "Hello {{name}}"}}
    ]
    scorer = {
        "experiment_id": "1",
        "scorer_name": "polite",
        "versions": [{"scorer_version": 1, "serialized_scorer": "{}", "creation_time": T}],
    }
    webhook = {
        "webhook_id": "w-1",
        "name": "tell",
        "url": "https://example.org/hook",
        "events": [{"entity": "MODEL_VERSION", "action": "CREATED"}],
        "status": "ACTIVE",
        "creation_timestamp": T,
    }
    return [
        database(),
        Thing(Kind.WORKSPACE, "default", {"name": "default", "description": "the only one"}),
        experiment(),
        owner,
        child,
        logged_model(source_run_id=RUN),
        registered_model(versions=[version], aliases={"champion": 1}),
        prompt,
        trace(run_ids=[RUN]),
        evaluation_dataset("1"),
        Thing(Kind.SCORER, "polite", scorer, experiment_id="1", state="1 version"),
        server_object(Kind.LABEL_SCHEMA, "tone", experiment_id="1", type="FEEDBACK", schema_id="ls-1"),
        server_object(Kind.REVIEW_QUEUE, "today", experiment_id="1", queue_id="rq-1"),
        server_object(Kind.ISSUE, "iss-1", experiment_id="1", issue_id="iss-1", status="OPEN"),
        server_object(Kind.GATEWAY_MODEL_DEFINITION, "large", provider="openai"),
        server_object(Kind.GATEWAY_ENDPOINT, "chat", endpoint_id="e-1"),
        server_object(Kind.BUDGET_POLICY, "monthly", budget_policy_id="b-1", budget_amount=100.5),
        server_object(Kind.GUARDRAIL, "no-secrets", guardrail_id="g-1"),
        server_object(Kind.MCP_SERVER, "search", display_name="Search"),
        Thing(Kind.WEBHOOK, "w-1", webhook, name="tell", time_ms=T, state="ACTIVE"),
    ]


def _numbers() -> list[Thing]:
    values = ["NaN", "Infinity", "-Infinity", 1.7976931348623157e308, 5e-324, -0.0, 1, 0.1]
    count = len(values)
    thing = run(
        metrics=[{"key": "loss", "value": "NaN", "timestamp": 9_223_372_036_854_775_807, "step": 2**63 - 1}],
        params={"big": "9007199254740993"},
    )
    thing.parts["metrics"] = [
        {
            "key": "loss",
            "timestamps": [T + number for number in range(count - 1)] + [2**63 - 1],
            "steps": [-(2**63), *range(count - 2), 2**53 + 1],
            "values": values,
        },
        {"key": "other", "timestamps": [T], "steps": [0], "values": [1e100]},
        {"key": "other", "timestamps": [T + 1], "steps": [1], "values": [0]},
    ]
    return [experiment(), thing]


def _names() -> list[Thing]:
    thing = run()
    names = (
        "a b/ c.txt",
        "CON",
        "con.txt",
        "dot./x",
        "100%.txt",
        'what?*<>|:".txt',
        "back\\slash",
        "#1~",
        "caf\u00e9.txt",
        "cafe\u0301.txt",
        "tab\tline\n.txt",
        "\u65e5\u672c\u8a9e/\U0001f40d.py",
        ".hidden",
        "...",
        "a//b",
        "deep/" * 30 + "x",
        "n" * 300,
    )
    thing.blobs = {("artifacts", name): name.encode() for name in names}
    return [
        experiment(),
        thing,
        *(registered_model(name) for name in ("team/forest: v2?", "nul", "", "..", "\u00fc" * 150)),
    ]


def _unknown() -> Builder:
    builder = small()
    builder.on("marker", lambda marker: marker.update(x_note="of a later version"))
    builder.on("manifest", lambda manifest: manifest.update(annotations={"com.example.ticket": "OPS-1"}))
    builder.on("entry 1", lambda entry: entry.update(colour="blue"))
    builder.on(f"blob {RUN}", lambda blob: blob["descriptor"].update(encoding="identity"))

    def add(document: dict[str, object]) -> None:
        document["sealed"] = True
        document["record"]["info"]["inference_seconds"] = 0.5  # type: ignore[index]
        document["record"]["prizes"] = [{"first": None}]  # type: ignore[index]

    return builder.on(f"document {RUN}", add)


def _partial() -> Builder:
    lost, things = losses()
    return Builder(things, lost)


def _workspaces() -> list[Thing]:
    return [
        Thing(Kind.WORKSPACE, "default", {"name": "default"}),
        Thing(Kind.WORKSPACE, "team a", {"name": "team a", "default_artifact_root": "s3://team-a"}),
        experiment(),
        experiment(workspace="team a"),
        run(workspace="team a"),
    ]


def _gaps() -> list[Thing]:
    versions = [
        {"version": 1, "current_stage": "Archived", "source": "s3://bucket/1"},
        {"version": 3, "current_stage": "Production", "source": "s3://bucket/3", "description": "the third"},
    ]
    thing = registered_model(versions=versions, aliases={"champion": 3, "old": 1}, tags={"team": "vision"})
    thing.blobs = {("versions/3/artifacts", "MLmodel"): b"flavors: {}\n"}
    return [thing]


def _deleted() -> list[Thing]:
    thing = bare_run()
    thing.record["info"]["lifecycle_stage"] = "deleted"
    thing.state = "FINISHED deleted"
    return [experiment(lifecycle_stage="deleted"), thing]
