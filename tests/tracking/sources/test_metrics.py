"""Metric histories: the bulk endpoint's silent limit, its absence, and the order of points."""

from __future__ import annotations

import math
import random

import pytest

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.records.run import LastMetric
from mlflow_archive.tracking.metrics import BULK_LIMIT, LINE_POINTS, HistoryReader, Series
from tests.tracking.sources.fake import FakeServer

BULK = "/ajax-api/2.0/mlflow/metrics/get-history-bulk"
HISTORY = "/api/2.0/mlflow/metrics/get-history"


def points(run_id: str, count: int) -> list[dict]:
    return [{"key": "m", "run_id": run_id, "value": float(i), "timestamp": 1000 + i, "step": i} for i in range(count)]


class Histories:
    """Serves histories of given lengths, cut off as MLflow does."""

    def __init__(self, lengths: dict[str, int], most_runs: int = 100) -> None:
        self.lengths = lengths
        self.most_runs = most_runs

    def bulk(self, request: dict) -> dict:
        ids = request["run_id"]
        if len(ids) > self.most_runs:
            raise UsageError("too many runs")
        rows = [point for id in sorted(ids) for point in points(id, self.lengths[id])]
        return {"metrics": rows[:BULK_LIMIT]}

    def paged(self, request: dict) -> dict:
        rows = points(request["run_id"][0], self.lengths[request["run_id"][0]])
        if "max_results" not in request:
            return {"metrics": rows}
        size, start = int(request["max_results"][0]), int(request.get("page_token", ["0"])[0])
        answer: dict = {"metrics": rows[start : start + size]}
        if start + size < len(rows):
            answer["next_page_token"] = str(start + size)
        return answer

    def server(self, version: str = "3.17.2") -> FakeServer:
        return FakeServer({f"GET {BULK}": self.bulk, f"GET {HISTORY}": self.paged}, version)


def test_a_hundred_short_runs_take_one_request():
    lengths = {f"{i:032d}": 50 for i in range(100)}
    server = Histories(lengths).server()
    answer = HistoryReader(server).bulk([*lengths], "m", None)
    assert {id: len(series) for id, series in answer.items()} == lengths
    assert server.times(BULK) == 1


@pytest.mark.parametrize("length", [BULK_LIMIT // 10, BULK_LIMIT // 3, BULK_LIMIT - 1])
def test_an_answer_that_is_full_is_asked_again_for_fewer_runs(length):
    lengths = {f"{i:032d}": length for i in range(16)}
    answer = HistoryReader(Histories(lengths).server()).bulk([*lengths], "m", None)
    assert {id: len(series) for id, series in answer.items()} == lengths


@pytest.mark.parametrize("version", ["3.17.2", "2.9.2"])
def test_a_run_that_fills_an_answer_alone_is_left_to_the_pages(version):
    lengths = {"a": 3, "b": 120_000}
    reader = HistoryReader(Histories(lengths).server(version))
    answer = reader.bulk([*lengths], "m", None)
    assert answer["b"] is None
    assert len(answer["a"]) == 3
    assert sum(map(len, reader.chunks("b", "m", None))) == 120_000


def test_without_the_bulk_endpoint_everything_is_left_to_the_pages_and_it_is_asked_once():
    server = FakeServer({f"GET {HISTORY}": Histories({"a": 5, "b": 5}).paged})
    reader = HistoryReader(server)
    assert reader.bulk(["a", "b"], "m", None) == {"a": None, "b": None}
    assert reader.bulk(["a"], "n", None) == {"a": None}
    assert server.times(BULK) == 1
    assert [len(series) for series in reader.chunks("a", "m", None)] == [5]


def test_a_proxy_with_a_short_request_line_is_met_halfway_and_remembered():
    lengths = {f"{i:032d}": 2 for i in range(100)}
    server = Histories(lengths, most_runs=30).server()
    reader = HistoryReader(server)
    assert len(reader.bulk([*lengths], "m", None)) == 100
    before = server.times(BULK)
    assert len(reader.bulk([*lengths], "m", None)) == 100
    assert server.times(BULK) - before == 4


def test_request_lines_for_gunicorn_stay_below_its_limit():
    lengths = {f"{i:032d}": 1 for i in range(300)}
    server = Histories(lengths).server("2.9.2")
    HistoryReader(server).bulk([*lengths], "some/metric name", None)
    assert all(len(request["run_id"]) * 40 + 100 < 4094 for _, request in server.asked)


def test_points_are_ordered_as_the_store_orders_them_and_nan_counts_as_zero():
    rows = [
        {"value": value, "timestamp": time, "step": step}
        for time, step, value in [(1, 0, -1.0), (1, 0, 0.0), (1, 0, "NaN"), (1, 0, 2.0), (1, 1, -5.0), (2, 0, -9.0)]
    ]
    shuffled = rows[:]
    random.Random(3).shuffle(shuffled)
    series = Series()
    for row in shuffled:
        series.add(row)
    series.sort()
    (line,) = series.lines("k")
    assert line == {
        "key": "k",
        "timestamps": [1, 1, 1, 1, 1, 2],
        "steps": [0, 0, 0, 0, 1, 0],
        "values": [-1.0, 0.0, "NaN", 2.0, -5.0, -9.0],
    }


def test_lines_hold_ten_thousand_points_and_know_the_latest():
    series = Series()
    for point in points("a", 2 * LINE_POINTS + 1):
        series.add(point)
    assert [len(line["values"]) for line in series.lines("k")] == [LINE_POINTS, LINE_POINTS, 1]
    assert series.has(LastMetric(key="k", value=20000.0, timestamp=21000, step=20000))
    assert not series.has(LastMetric(key="k", value=20000.5, timestamp=21000, step=20000))


def test_a_latest_value_that_is_not_a_number_is_found():
    series = Series()
    series.add({"value": float("nan"), "timestamp": "5"})
    assert math.isnan(series.values[0])
    assert series.has(LastMetric(key="k", value="NaN", timestamp=5, step=0))
