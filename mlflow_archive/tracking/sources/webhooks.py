"""Webhooks (MLflow 3.3 and later): all but their secrets, which no server shows."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.webhook import WebhookRecord
from mlflow_archive.spec.selection import Selection
from mlflow_archive.stream import Content, Item, ObjectKey
from mlflow_archive.tracking.paging import each_once, objects, pages, text
from mlflow_archive.tracking.sources.context import Reading

_PATH = "/api/2.0/mlflow/webhooks"
_IN_NO_ANSWER = "The secrets of webhooks are not in any answer of the server; set them anew after a restore."
_IN_NO_RECORD = "The secrets of webhooks are in no record; set them anew after a restore over the API."


def read(reading: Reading, workspace: str | None, selection: Selection) -> Iterator[Item | Loss]:  # noqa: ARG001
    """List the webhooks."""

    def walk() -> Iterator[list[JSONObject]]:
        for page in pages(reading.client, "GET", _PATH, {"max_results": 100}, workspace=workspace):
            yield objects(page.get("webhooks"))

    for row in each_once(walk, lambda row: text(row.get("webhook_id")), steady=reading.steady):
        reading.note(_IN_NO_RECORD if reading.shows_all else _IN_NO_ANSWER)
        key = ObjectKey(Kind.WEBHOOK, text(row.get("webhook_id")), None, workspace, text(row.get("name")))
        yield Item(key, partial(_load, row))


def _load(row: JSONObject) -> Content:
    return Content(WebhookRecord.from_json({"url": "", **row}, "the server's answer"))
