"""Versions of registered models and prompts: the same numbers as at the source, and sources that hold at the target."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import partial
from time import monotonic, sleep
from urllib.parse import quote

from mlflow_archive.errors import ConflictError, MlflowArchiveError, NotFoundError
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.registered_model import ModelVersion
from mlflow_archive.stream import Blob, Content, ObjectKey
from mlflow_archive.tracking.artifacts import ArtifactOwner
from mlflow_archive.tracking.rewriting import NO_PLACE, owner_in, rewrite_location, rewrite_run_link
from mlflow_archive.tracking.sinks.context import (
    SinkContext,
    attempt,
    child,
    is_refusal,
    own_tags,
    rows,
    tag_list,
    tag_map,
    text,
)

#: Files of versions that are in no run or logged model of the target live in runs of this experiment.
CARRIER_EXPERIMENT = "Files of restored model versions"


@dataclass
class Place:
    """Where a version's files are at the target, and what made it."""

    source: str
    run_id: str | None
    model_id: str | None
    tags: dict[str, str] = field(default_factory=dict)
    run_link: str | None = None


class Versions:
    """Creates the versions of one registered model, in ascending order."""

    def __init__(self, context: SinkContext, key: ObjectKey, name: str, content: Content) -> None:
        """Create versions of the model called ``name`` at the target; asks nothing yet."""
        self._context = context
        self._key = key
        self._name = name
        listed = list(content.blobs())
        self._blobs = [blob for blob in listed if isinstance(blob, Blob)]
        self.losses = tuple(blob for blob in listed if isinstance(blob, Loss))
        self._newest = 0
        self.numbers: dict[int, int] = {}
        """The number at the target of each version of the source that is there."""
        self.appends = False
        """Versions get the target's next numbers, and a tag that says which of the source they are."""
        self.size_bytes = 0

    def existing(self) -> set[int]:
        """Return the numbers that the target has; deleted ones are in no listing."""
        there = {int(text(entry, "version")) for entry in self.listed()}
        self._newest = max(there, default=0)
        return there

    def recognise(self, source_id: str, last: int) -> None:
        """Find out which versions of the source are at the target, whatever their numbers.

        Args:
            source_id: The model's id at its source.
            last: Up to this number the target's versions are the source's, if they have no tag.
        """
        for entry in self.listed():
            number, tags = int(text(entry, "version")), tag_map(rows(entry, "tags"))
            self._newest = max(self._newest, number)
            if provenance.SOURCE_ID not in tags and number <= last:
                self.numbers.setdefault(number, number)
            elif (found := self._number_in(tags, source_id)) is not None:
                self.numbers[found] = number

    def repair(self, versions: Iterable[ModelVersion], since: int) -> Iterator[Loss]:
        """Take away what an interrupted restore left of gaps, and give the versions it made their files and stages.

        Args:
            versions: The versions of the source.
            since: The first number that the interrupted restore was to make.
        """
        made = {version.version: version for version in versions if version.version >= since}
        for entry in self.listed():
            number, tags = int(text(entry, "version")), tag_map(rows(entry, "tags"))
            gap = tags.get(provenance.GAP)
            if gap == str(number):
                self._keep(number)
            elif gap is not None:
                self._drop(number)
                continue
            at_source = self._number_in(tags, self._key.id) if self.appends else number
            version = made.get(at_source or 0)
            if version is None:
                continue
            if own := self._own(version):
                # Its files may not all have come, and their run is found again.
                yield from self._carry(version, own)[1]
            wanted = version.current_stage
            if wanted and wanted != (text(entry, "current_stage") or "None"):
                yield from self._stage(number, wanted)

    def _number_in(self, tags: dict[str, str], source_id: str) -> int | None:
        """Return the number of the version of the source that tags name, if it is of this model and this source."""
        name, _, number = tags.get(provenance.SOURCE_ID, "").rpartition("/")
        ours = name == quote(source_id, safe="") and self._context.same_source(tags)
        return int(number) if ours and number.isdecimal() else None

    def listed(self) -> Iterator[JSONObject]:
        """Yield the target's versions; deleted ones are in no listing."""
        quoted = f'"{self._name}"' if "'" in self._name else f"'{self._name}'"
        # A search without the tag leaves prompts out.
        prompts = " AND tag.`mlflow.prompt.is_prompt` = 'true'" if self._key.kind is Kind.PROMPT else ""
        params: JSONObject = {"filter": f"name = {quoted}{prompts}", "max_results": 200}
        return self._context.pages(
            "model-versions/search", params, "model_versions", workspace=self._key.workspace, method="GET"
        )

    def create(self, version: ModelVersion, last: int | None) -> Iterator[Loss]:
        """Create one version with its number, and bring its stage along.

        Args:
            version: The version at the source.
            last: The highest number the model ever had, None if that is not known (deleted numbers are hidden).

        Yields:
            A loss if the number is taken, or if the version cannot stand on its source.
        """
        place, losses = self._place(version)
        yield from losses
        if self.appends:
            yield from self._append(version, place)
            return
        if last is not None:
            for _ in range(last + 1, version.version):
                self._drop(self._send(self._filler()))
        else:
            # It may get a number that is not its own; the mark tells so, should the restore end before that is put
            # right. The mark comes off where the number is the right one.
            place.tags[provenance.GAP] = str(version.version)
        made, refused = self._send_somehow(version, place)
        yield from refused
        while made < version.version:
            # A number the target has used up before, or a gap at the source: the next one, please.
            self._drop(made)
            made = self._send(self._body(version, place))
        if made > version.version:
            self._drop(made)
            reason = f"The target has used up the number {version.version} of {self._name!r}; it would become {made}."
            yield self._key.lost("conflict", reason, path=f"versions/{version.version}")
            return
        if provenance.GAP in place.tags:
            self._keep(made)
        yield from self._made(version, made)

    def _append(self, version: ModelVersion, place: Place) -> Iterator[Loss]:
        """Create a version with the next number, whichever that is."""
        place.tags |= self._context.provenance(f"{quote(self._key.id, safe='')}/{version.version}")
        made, refused = self._send_somehow(version, place)
        yield from refused
        yield from self._made(version, made)

    def _made(self, version: ModelVersion, number: int) -> Iterator[Loss]:
        """Bring a version that has its number to its stage."""
        self.numbers[version.version] = number
        yield from self._await_ready(number)
        if version.current_stage and version.current_stage != "None":
            yield from self._stage(number, version.current_stage)

    def update(self, version: ModelVersion) -> Iterator[Loss]:
        """Overwrite description, tags and stage of a version that is there."""
        made = self.numbers.get(version.version, version.version)
        number, workspace = str(made), self._key.workspace
        body: JSONObject = {"name": self._name, "version": number, "description": version.description or ""}
        patch = partial(self._context.client.call, "PATCH", "/api/2.0/mlflow/model-versions/update")
        yield from attempt(self._key, f"versions/{number}/description", partial(patch, body=body, workspace=workspace))
        for name, value in own_tags(version.tags).items():
            tag: JSONObject = {"name": self._name, "version": number, "key": name, "value": value}
            post = partial(self._context.post, "model-versions/set-tag", tag, workspace=workspace)
            yield from attempt(self._key, f"versions/{number}/tags/{name}", post)
        if version.current_stage:
            yield from self._stage(made, version.current_stage)

    def _await_ready(self, number: int) -> Iterator[Loss]:
        """Give a version the time that the operator has for it to become ready; yield a loss if it does not."""
        seconds = self._context.options.await_versions_s
        deadline = monotonic() + seconds
        pause = 0.1
        while seconds:
            params: JSONObject = {"name": self._name, "version": str(number)}
            path = "/api/2.0/mlflow/model-versions/get"
            answer = self._context.client.call("GET", path, params=params, workspace=self._key.workspace)
            entry = child(answer, "model_version")
            status = text(entry, "status") or "READY"
            if status == "READY":
                return
            if status != "PENDING_REGISTRATION" or monotonic() >= deadline:
                said = text(entry, "status_message")
                reason = f"Version {number} of {self._name!r} is {status}, not READY, at the target. {said}".rstrip()
                yield self._key.lost("not_ready", reason, path=f"versions/{number}")
                return
            sleep(min(pause, max(0.0, deadline - monotonic())))
            pause = min(2 * pause, 2.0)

    def _stage(self, number: int, stage: str) -> Iterator[Loss]:
        body: JSONObject = {"name": self._name, "version": str(number), "stage": stage}
        body["archive_existing_versions"] = False
        post = partial(self._context.post, "model-versions/transition-stage", body, workspace=self._key.workspace)
        yield from attempt(self._key, f"versions/{number}/stage", post)

    def _place(self, version: ModelVersion) -> tuple[Place, list[Loss]]:
        ids = self._context.ids
        given = self._context.options.version_places.get(version.version)
        if given is not None:
            origin = {provenance.SOURCE_RUN_ID: version.run_id} if version.run_id and not given.run_id else {}
            return Place(given.source, given.run_id, given.model_id, origin, given.run_link), []
        place = Place(
            rewrite_location(version.source or "", ids),
            ids.get(Kind.RUN, version.run_id),
            ids.get(Kind.LOGGED_MODEL, version.model_id),
        )
        if version.run_id and place.run_id is None:
            place.tags[provenance.SOURCE_RUN_ID] = version.run_id
        own = self._own(version)
        if not own:
            self._name_owner(version, place)
            return place, []
        carrier, losses = self._carry(version, own)
        place.tags[provenance.SOURCE_LOCATION] = version.source or ""
        return Place(carrier.uri, carrier.id, None, place.tags), losses

    def _own(self, version: ModelVersion) -> list[Blob]:
        """Return the files that belong to one version; none if the run or logged model it lies in has them there."""
        own = [blob for blob in self._blobs if blob.role == f"versions/{version.version}/artifacts"]
        location = version.storage_location or version.source or ""
        owner = owner_in(location) if own else None
        root = self._context.ids.any_root(owner) if owner else None
        if owner is None or root is None:
            return own
        kind = Kind.LOGGED_MODEL if owner.startswith("m-") else Kind.RUN
        there = ArtifactOwner(kind, self._context.ids.any_id(owner) or "", root, self._key.workspace)
        below = f"{location.partition(owner)[2]}/".lstrip("/").removeprefix("artifacts/").strip("/")
        return [] if self._context.uploader.has(there, below) else own

    def _name_owner(self, version: ModelVersion, place: Place) -> None:
        """Name the model or run that the source lies in, which listings of versions do not always tell.

        The target takes a source inside a logged model or a run only with the id of that one.
        """
        owner = owner_in(version.source or "")
        if owner is None:
            return
        if owner.startswith("m-"):
            place.model_id = place.model_id or self._context.ids.get(Kind.LOGGED_MODEL, owner)
        elif place.run_id is None and place.model_id is None:
            place.run_id = self._context.ids.get(Kind.RUN, owner)

    def _carry(self, version: ModelVersion, blobs: list[Blob]) -> tuple[ArtifactOwner, list[Loss]]:
        """Upload a version's own files into a run made for them."""
        workspace = self._key.workspace
        try:
            answer = self._context.client.call(
                "GET",
                "/api/2.0/mlflow/experiments/get-by-name",
                params={"experiment_name": CARRIER_EXPERIMENT},
                workspace=workspace,
            )
            experiment_id = text(child(answer, "experiment"), "experiment_id")
        except NotFoundError:
            experiment_id = self._make_carrier_experiment()
        made = self._carrier_run(experiment_id, version)
        owner = ArtifactOwner(Kind.RUN, text(made, "run_id"), text(made, "artifact_uri"), workspace)
        uploaded = self._context.uploader.upload_blobs(self._key, blobs, owner)
        self.size_bytes += uploaded.size_bytes
        end: JSONObject = {"run_id": owner.id, "status": "FINISHED", "end_time": made.get("start_time")}
        self._context.post("runs/update", end, workspace=workspace)
        return owner, uploaded.losses

    def _carrier_run(self, experiment_id: str, version: ModelVersion) -> JSONObject:
        """Return the run for a version's files, which an interrupted restore may have made."""
        names = (self._name, self._key.id) if self.appends else (self._name,)
        own = "/".join([*(quote(name, safe="") for name in names), str(version.version)])
        workspace = self._key.workspace
        query: JSONObject = {
            "experiment_ids": [experiment_id],
            "filter": f"tags.`{provenance.SOURCE_ID}` = '{own}'",
            "max_results": 1,
        }

        def find() -> JSONObject | None:
            found = rows(self._context.post("runs/search", query, workspace=workspace), "runs")
            return {"run": found[0]} if found else None

        body: JSONObject = {"experiment_id": experiment_id, "run_name": f"{self._name} {version.version}"}
        body["tags"] = list(tag_list(self._context.provenance(own)))
        answer = find() or self._context.create("runs/create", body, workspace=workspace, find=find)
        return child(child(answer, "run"), "info")

    def _make_carrier_experiment(self) -> str:
        body: JSONObject = {"name": CARRIER_EXPERIMENT}
        try:
            return text(self._context.post("experiments/create", body, workspace=self._key.workspace), "experiment_id")
        except ConflictError:
            # Another thread was quicker.
            answer = self._context.client.call(
                "GET",
                "/api/2.0/mlflow/experiments/get-by-name",
                params={"experiment_name": CARRIER_EXPERIMENT},
                workspace=self._key.workspace,
            )
            return text(child(answer, "experiment"), "experiment_id")

    def _send_somehow(self, version: ModelVersion, place: Place) -> tuple[int, list[Loss]]:
        """Create the version at its place, or without its files where the target refuses the place."""
        try:
            return self._send(self._body(version, place)), []
        except MlflowArchiveError as error:
            if not is_refusal(error) or version.version in self._context.options.version_places:
                raise
            refusal = error
        place.tags[provenance.SOURCE_LOCATION] = version.source or ""
        place.source, place.model_id = f"{NO_PLACE}{self._name}/{version.version}".replace("//", "/"), None
        reason = (
            f"The target refuses the source of version {version.version} ({refusal}); it is kept without its files."
        )
        loss = self._key.lost("source", reason, path=f"versions/{version.version}/source")
        return self._send(self._body(version, place)), [loss]

    def _body(self, version: ModelVersion, place: Place) -> JSONObject:
        tags = own_tags(version.tags) | place.tags
        if self._key.kind is Kind.REGISTERED_MODEL:
            tags |= self._context.options.version_tags
        run_link = rewrite_run_link(version.run_link, self._context.ids) if version.run_link else None
        body: JSONObject = {"name": self._name, "source": place.source}
        optional = (
            ("run_id", place.run_id),
            ("model_id", place.model_id if self._context.client.at_least("3.0.0") else None),
            ("run_link", place.run_link or run_link),
            ("description", version.description),
        )
        for name, value in optional:
            if value:
                body[name] = value
        if tags:
            body["tags"] = list(tag_list(tags))
        return body

    def _filler(self) -> JSONObject:
        """Return the body of a version that only uses up a number."""
        body: JSONObject = {"name": self._name, "source": f"{NO_PLACE}gap"}
        tags = {provenance.GAP: "true"}
        if self._key.kind is Kind.PROMPT:
            body["source"] = "dummy-source"
            tags |= {"mlflow.prompt.is_prompt": "true", "mlflow.prompt.text": ""}
        body["tags"] = list(tag_list(tags))
        return body

    def _send(self, body: JSONObject) -> int:
        """Create a version and return its number."""

        def find() -> JSONObject | None:
            newest = max(self.existing(), default=0)
            return {"model_version": {"version": newest}} if newest > self._newest else None

        answer = self._context.create("model-versions/create", body, workspace=self._key.workspace, find=find)
        self._newest = int(text(child(answer, "model_version"), "version"))
        return self._newest

    def _keep(self, number: int) -> None:
        """Take the mark off a version that has the right number."""
        body: JSONObject = {"name": self._name, "version": str(number), "key": provenance.GAP}
        path = "/api/2.0/mlflow/model-versions/delete-tag"
        self._context.client.call("DELETE", path, body=body, workspace=self._key.workspace)

    def _drop(self, number: int) -> None:
        body: JSONObject = {"name": self._name, "version": str(number)}
        path = "/api/2.0/mlflow/model-versions/delete"
        self._context.client.call("DELETE", path, body=body, workspace=self._key.workspace)
