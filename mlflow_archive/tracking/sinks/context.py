"""What the sinks of all kinds share."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TypeVar, cast

from mlflow_archive.errors import FORBIDDEN, ConflictError, MlflowArchiveError, NotAuthorisedError, UnavailableError
from mlflow_archive.events import Note, Observer
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.loss import Loss
from mlflow_archive.stream import Item, ObjectKey, Outcome, Status
from mlflow_archive.tracking.client import ServerClient
from mlflow_archive.tracking.idmap import IdMap
from mlflow_archive.tracking.sinks.agenda import Agenda
from mlflow_archive.tracking.sinks.options import IfExists, SinkOptions
from mlflow_archive.tracking.sinks.origins import SourceTags
from mlflow_archive.tracking.sinks.uploading import Uploader

_T = TypeVar("_T")

API2 = "/api/2.0/mlflow/"
API3 = "/api/3.0/mlflow/"


class SinkContext:
    """The target server, the choices of the operator, the id map and the agenda of one restore."""

    def __init__(
        self, client: ServerClient, uploader: Uploader, options: SinkOptions, observer: Observer, parallelism: int
    ) -> None:
        """Tie them together; opens nothing."""
        self.client = client
        self.uploader = uploader
        self.options = options
        self.observer = observer
        self.ids: IdMap = uploader.ids
        self.agenda = Agenda(parallelism)
        self.source_tags = SourceTags(options.source_tags, self.note)
        self._notes: set[str] = set()

    @property
    def if_exists(self) -> IfExists:
        """The operator's wish for objects that are there already."""
        return self.options.if_exists

    @property
    def is_databricks(self) -> bool:
        """Tell whether the target is a Databricks workspace, which sets some tags itself."""
        return self.client.version == "databricks"

    def note(self, sentence: str) -> None:
        """Tell a person something that is no loss, once."""
        if sentence not in self._notes:
            self._notes.add(sentence)
            self.observer.notify(Note(sentence))

    def post(self, path: str, body: JSONObject, *, workspace: str | None = None) -> JSONObject:
        """Send a POST that may be repeated without harm, to API 2.0 unless the path is whole."""
        return self.client.call("POST", _whole(path), body=body, workspace=workspace)

    def create(
        self, path: str, body: JSONObject, *, workspace: str | None = None, find: Callable[[], JSONObject | None]
    ) -> JSONObject:
        """Create an object once.

        When the connection breaks before the answer, ``find`` looks for what was perhaps created; only if it is
        not there, the request is sent once more.
        """
        try:
            return self.client.call("POST", _whole(path), body=body, workspace=workspace, repeatable=False)
        except UnavailableError:
            found = find()
            if found is not None:
                return found
            return self.client.call("POST", _whole(path), body=body, workspace=workspace, repeatable=False)

    def pages(
        self, path: str, body: JSONObject, field: str, *, workspace: str | None = None, method: str = "POST"
    ) -> Iterator[JSONObject]:
        """Yield the rows of a paged listing."""
        token = ""
        while True:
            asked: JSONObject = {**body, "page_token": token} if token else body
            if method == "GET":
                answer = self.client.call("GET", _whole(path), params=asked, workspace=workspace)
            else:
                answer = self.client.call("POST", _whole(path), body=asked, workspace=workspace)
            yield from rows(answer, field)
            token = str(answer.get("next_page_token") or "")
            if not token:
                return

    def provenance(self, source_id: str, *, incomplete: bool = False) -> dict[str, str]:
        """Return the tags that say where a restored object comes from."""
        tags = {provenance.SOURCE_ID: source_id}
        if self.options.source_uri:
            tags[provenance.SOURCE_URI] = self.options.source_uri
        if incomplete:
            tags[provenance.INCOMPLETE] = "true"
        return tags

    def same_source(self, tags: Mapping[str, str]) -> bool:
        """Tell whether provenance tags, as far as they say it, were written by a restore of the same source."""
        return tags.get(provenance.SOURCE_URI, self.options.source_uri) == self.options.source_uri

    def existing(self, key: ObjectKey, target_id: str) -> Outcome:
        """Return what becomes of an object that is there already and is not to be touched.

        Raises:
            ConflictError: The operator wants existing objects to be an error.
        """
        self.refuse_existing(key, key.name or key.id)
        reason = "would skip (exists)" if self.options.dry_run else "exists"
        return Outcome(key, Status.SKIPPED, reason=reason, target_id=target_id)

    def refuse_existing(self, key: ObjectKey, name: str) -> None:
        """Raise `ConflictError` if the operator wants existing objects to be an error."""
        if self.if_exists is IfExists.FAIL:
            what = str(key.kind).replace("_", " ")
            raise ConflictError(
                f"The {what} {name!r} is at the target already; choose --if-exists skip, update or duplicate."
            )

    def plan(self, key: ObjectKey, target_id: str = "", *, renamed: str | None = None) -> Outcome:
        """Return what a dry run says about an object that would be created."""
        reason = f"would rename to {renamed!r}" if renamed else "would create"
        return Outcome(key, Status.STORED, reason=reason, target_id=target_id)


def unsupported(item: Item, reason: str) -> Outcome:
    """Return the outcome of an object that the target cannot take."""
    return Outcome(item.key, Status.LOST, reason=reason, losses=(item.key.lost("unsupported", reason),))


def attempt(key: ObjectKey, path: str, action: Callable[[], object]) -> Iterator[Loss]:
    """Do one part of an object; yield the loss if the target refuses it, so that the rest can go on.

    Raises:
        NotAuthorisedError: The credentials are refused: nothing else will be allowed either.
        UnavailableError: The target is gone.
    """
    try:
        action()
    except MlflowArchiveError as error:
        if not is_refusal(error) and error.code != FORBIDDEN:
            raise
        yield key.lost(error.code, str(error), path=path, retryable=error.retryable)


def is_open(losses: Iterable[Loss]) -> bool:
    """Tell whether some of what was lost may succeed later: then a repeated restore tries it again.

    Such an object keeps the mark of an unfinished restore.
    """
    return any(loss.retryable for loss in losses)


def is_refusal(error: MlflowArchiveError) -> bool:
    """Tell whether an error is the target's answer to this one request, not the state of the target.

    MLflow answers many a wrong request with 500 and its code for internal errors.
    """
    if isinstance(error, UnavailableError):
        return error.code == "internal_error"
    return not isinstance(error, NotAuthorisedError)


def rows(answer: Mapping[str, object], field: str) -> list[JSONObject]:
    """Return a list of objects out of an answer; absent is empty."""
    return cast("list[JSONObject]", answer.get(field) or [])


def child(answer: Mapping[str, object], field: str) -> JSONObject:
    """Return an object out of an answer; absent is empty."""
    return cast("JSONObject", answer.get(field) or {})


def text(answer: Mapping[str, object], field: str) -> str:
    """Return a text out of an answer; absent is empty."""
    return str(answer.get(field) or "")


def tag_list(tags: Mapping[str, str]) -> list[JSONObject]:
    """Return tags as MLflow's list of ``{key, value}``."""
    return [{"key": key, "value": value} for key, value in tags.items()]


def tag_map(entries: Iterable[Mapping[str, object]]) -> dict[str, str]:
    """Return MLflow's list of ``{key, value}`` as a mapping."""
    return {str(entry.get("key")): str(entry.get("value") or "") for entry in entries}


def own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return an object's tags without those of an earlier restore; what they tell of its origin stays."""
    return {
        key: value for key, value in tags.items() if not provenance.is_provenance(key) or provenance.is_source_tag(key)
    }


def _whole(path: str) -> str:
    return path if path.startswith("/") else API2 + path
