"""Runs: every status and lifecycle, hard metrics, params, tags, inputs and artifacts."""

from __future__ import annotations

import math
import random

from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, Param, RunTag

from tests.seeding.world import EPOCH_MS, UNICODE, World

STATUSES = ("RUNNING", "SCHEDULED", "FINISHED", "FAILED", "KILLED")


def seed(world: World) -> None:
    """Make runs in all living experiments."""
    _full(world)
    _statuses(world)
    _nested(world)
    for number, word in enumerate(("unicode", "slashes", "percent", "trailing", "custom", "deleted", "case", "long")):
        run_id = _create(world, f"in {word}", word, start=number * 1000)
        world.client.log_batch(run_id, metrics=[Metric("m", number / 7, EPOCH_MS, 0)], params=[Param("p", word)])
        world.put(_root(world, run_id), {"note.txt": word.encode()})
        world.client.set_terminated(run_id, end_time=EPOCH_MS + number * 1000 + 500)
        world.runs[f"in {word}"] = run_id


def _create(world: World, name: str, experiment: str = "main", start: int = 0, **tags: str) -> str:
    run = world.client.create_run(
        world.experiments[experiment],
        start_time=EPOCH_MS + start,
        tags={"mlflow.user": "ada", "mlflow.source.name": "train.py", "mlflow.source.type": "LOCAL", **tags},
        run_name=name,
    )
    world.counts["run"] += 1
    return str(run.info.run_id)


def _root(world: World, run_id: str) -> str:
    return str(world.client.get_run(run_id).info.artifact_uri)


def _full(world: World) -> None:
    """One run with everything a run can have."""
    run_id = world.runs["full"] = _create(world, f"full {UNICODE}", start=1)
    client = world.client
    long = 5000 if world.version < (2, 15) else 8000
    tags = {
        "long": "t" * long,
        "unicode": UNICODE,
        "empty": "",
        "quotes": "'\"`\\\n\t",
        "nested/key.with-all kinds": "1",
    }
    tags["mlflow.note.content"] = "A **note**."
    tags["mlflow.source.git.commit"] = "0123456789abcdef0123456789abcdef01234567"
    client.log_batch(run_id, tags=[RunTag(key, value) for key, value in tags.items()])
    params = {"long": "p" * 6000, "unicode": UNICODE, "newline": "a\nb", "number": "0.10", "empty": "", "none": "None"}
    client.log_batch(run_id, params=[Param(key, value) for key, value in params.items()])
    many = [Param(f"grid/{number:03}", str(number)) for number in range(150)]
    for first in range(0, len(many), 100):
        client.log_batch(run_id, params=many[first : first + 100])
    _metrics(world, run_id)
    _inputs(world, run_id)
    world.put(_root(world, run_id), _files(world))
    client.set_terminated(run_id, "FINISHED", end_time=EPOCH_MS + 61_001)


def _metrics(world: World, run_id: str) -> None:
    rows = {
        "nan": [(math.nan, 0), (1.0, 1), (math.nan, 2)],
        "infinite": [(math.inf, 0), (-math.inf, 1)],
        "steps": [(0.5, -5), (0.25, 0), (0.125, 2**31), (0.0625, 2**62)],
        "extremes": [(1e308, 0), (-1e308, 1), (5e-324, 2), (-0.0, 3), (0.1 + 0.2, 4)],
        "only nan": [(math.nan, 0)],
        "deep/er/val loss": [(step / 3, step) for step in range(120)],
    }
    for key, values in rows.items():
        world.client.log_batch(run_id, metrics=[Metric(key, v, EPOCH_MS + n, s) for n, (v, s) in enumerate(values)])
    # The same step and time twice, another time at the same step, and steps that go back in time.
    twice = [(1.0, 10, 1), (2.0, 10, 1), (3.0, 11, 1), (4.0, 5, 2), (5.0, 0, 0)]
    world.client.log_batch(run_id, metrics=[Metric("twice", v, EPOCH_MS + t, s) for v, t, s in twice])
    points = 300 if world.small else 30_000
    noise = random.Random(7)
    many = [Metric("many", noise.gauss(0, 1), EPOCH_MS + step * 10, step) for step in range(points)]
    for first in range(0, points, 1000):
        world.client.log_batch(run_id, metrics=many[first : first + 1000])
    world.counts["metric_point"] += points + sum(len(values) for values in rows.values()) + len(twice)


def _inputs(world: World, run_id: str) -> None:
    table = Dataset(
        name="churn table",
        digest="a1b2c3d4",
        source_type="http",
        source='{"url": "https://example.com/churn.csv"}',
        schema='{"mlflow_colspec": [{"type": "long", "name": "age", "required": true}]}',
        profile='{"num_rows": 1000, "num_elements": 1000}',
    )
    bare = Dataset(name=f"bare {UNICODE}", digest="00000000", source_type="code", source='{"tags": {}}')
    tags = [InputTag("mlflow.data.context", "training"), InputTag("split", UNICODE)]
    world.client.log_inputs(run_id, [DatasetInput(table, tags), DatasetInput(bare, [])])
    world.counts["dataset_input"] += 2


def _files(world: World) -> dict[str, bytes]:
    noise = random.Random(11)
    files = {
        "readme.md": b"# hello\n",
        "empty": b"",
        "deep/" + "/".join("abcdefghij") + "/leaf.bin": noise.randbytes(1000),
        "空 folder/naïve file é.txt": "Ünïcode".encode(),
        "with space/a + b & c; 'd'.txt": b"odd",
        "with space/equals=and,comma@at!.txt": b"odd too",
        "zeros.bin": bytes(100_000),
        "long/" + "l" * 200 + ".txt": b"long name",
        "dots/...three.txt": b"dots",
        "dots/.hidden": b"hidden",
        "same/Case.txt": b"upper",
        "same/case.txt": b"lower",
        "all bytes.bin": bytes(range(256)) * 16,
    }
    if world.version >= (2, 22):
        files["with space/question?.txt"] = b"odd"
    if not world.served:
        files |= {"percent %20 and #hash.txt": b"only without a server in between", "50%.txt": b"half"}
    if not world.small:
        files |= {f"many/file-{number:03}.txt": str(number).encode() for number in range(300)}
        files["big/20MB.bin"] = noise.randbytes(20_000_000)
    return files


def _statuses(world: World) -> None:
    for number, status in enumerate(STATUSES):
        run_id = world.runs[status] = _create(world, status.lower(), start=2000 + number)
        if status in {"FINISHED", "FAILED", "KILLED"}:
            world.client.set_terminated(run_id, status, end_time=EPOCH_MS + 3000 + number)
        else:
            world.client.update_run(run_id, status=status)
        world.client.log_batch(run_id, metrics=[Metric("number", float(number), EPOCH_MS, number)])


def _nested(world: World) -> None:
    """Parents three deep, a deleted run, and a child whose parent is deleted."""
    parent = world.runs["parent"] = _create(world, "parent", start=5000)
    for depth, name in enumerate(("child", "grandchild")):
        tags = {"mlflow.parentRunId": parent}
        parent = world.runs[name] = _create(world, name, start=5001 + depth, **tags)
        world.client.set_terminated(parent, end_time=EPOCH_MS + 5500 + depth)
    gone = world.runs["deleted parent"] = _create(world, "deleted parent", start=6000)
    orphan = {"mlflow.parentRunId": gone}
    world.runs["orphan"] = _create(world, "orphan", start=6001, **orphan)
    lost = {"mlflow.parentRunId": "0" * 32}
    world.runs["lost"] = _create(world, "parent that never was", start=6002, **lost)
    world.runs["deleted"] = deleted = _create(world, "deleted", start=7000)
    world.client.log_batch(deleted, metrics=[Metric("m", 1.5, EPOCH_MS, 0)], params=[Param("p", "q")])
    world.put(_root(world, deleted), {"kept.txt": b"files of deleted runs stay"})
    world.client.set_terminated(deleted, end_time=EPOCH_MS + 7100)
