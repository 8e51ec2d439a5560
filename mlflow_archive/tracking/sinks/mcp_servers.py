"""The MCP registry: servers with their versions, tags, aliases and access endpoints."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import cast
from urllib.parse import quote

from mlflow_archive.errors import NotFoundError
from mlflow_archive.spec import provenance
from mlflow_archive.spec.canonical import JSONObject
from mlflow_archive.spec.loss import Loss
from mlflow_archive.spec.records.base import Payload
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.stream import Item, ObjectKey, Outcome, Status
from mlflow_archive.tracking.paging import integer
from mlflow_archive.tracking.sinks.context import API3, SinkContext, attempt, is_open, own_tags, rows, text
from mlflow_archive.tracking.sinks.options import IfExists

_SERVERS = API3 + "mcp-servers"
#: The states that a version can be made in; the others it can only get later.
_FIRST_STATES = ("draft", "active")


class McpServers:
    """Writes MCP servers."""

    def __init__(self, context: SinkContext) -> None:
        """Ask nothing yet."""
        self._context = context

    def write(self, item: Item) -> Outcome:
        """Create a server with all that belongs to it, or take the one of that name."""
        key = item.key
        content = item.load()
        record = cast("ServerObjectRecord", content.record)
        found = self._get(key)
        whole = found is not None and not _is_begun(found)
        update = self._context.if_exists is IfExists.UPDATE
        if found is not None and whole and (not update or self._context.options.dry_run):
            # A second server of the same name cannot be made.
            return self._context.existing(key, key.id)
        if self._context.options.dry_run:
            return self._context.plan(key, key.id)
        if found is None:
            found = self._create(key, record)
        self._tag(key, "", provenance.INCOMPLETE, "true")
        losses = [*content.losses, *self._fill(key, record, found)]
        path = f"{_path(key)}/tags/{provenance.INCOMPLETE}"
        if not is_open(losses):
            losses += attempt(key, "tags", partial(self._call, key, "DELETE", path))
        reason = "updated" if whole else ""
        return Outcome(key, Status.STORED, reason=reason, target_id=key.id, losses=tuple(losses))

    def _get(self, key: ObjectKey) -> JSONObject | None:
        try:
            return self._call(key, "GET", _path(key))
        except NotFoundError as error:
            if error.code == "endpoint_not_found":
                raise
            return None

    def _create(self, key: ObjectKey, record: ServerObjectRecord) -> JSONObject:
        body: JSONObject = {"name": key.id}
        if record.payload.get("description"):
            body["description"] = record.payload["description"]
        if icons := _own_icons(record.payload):
            body["icons"] = list(icons)
        return self._context.create(_SERVERS, body, workspace=key.workspace, find=partial(self._get, key))

    def _fill(self, key: ObjectKey, record: ServerObjectRecord, found: JSONObject) -> Iterator[Loss]:
        """Add what is missing and overwrite what differs; a version's content can never be changed."""
        payload = record.payload
        plain = {n: payload.get(n) for n in ("display_name", "description") if payload.get(n) is not None}
        changed: JSONObject = {name: value for name, value in plain.items() if found.get(name) != value}
        if changed:
            yield from attempt(key, "fields", partial(self._call, key, "PATCH", _path(key), changed))
        yield from self._tags(key, "", payload, found)
        there = {text(entry, "version"): entry for entry in self._rows(key, "versions", "mcp_server_versions")}
        versions = sorted(record.details.get("versions", ()), key=lambda v: integer(v.get("creation_timestamp")) or 0)
        for version in versions:
            yield from self._version(key, version, there.get(text(version, "version")))
        aliases = {text(entry, "alias"): text(entry, "version") for entry in rows(found, "aliases")}
        for entry in rows(payload, "aliases"):
            alias: JSONObject = {"alias": text(entry, "alias"), "version": text(entry, "version")}
            if aliases.get(text(entry, "alias")) != text(entry, "version"):
                post = partial(self._call, key, "POST", f"{_path(key)}/aliases", alias)
                yield from attempt(key, f"aliases/{alias['alias']}", post)
        yield from self._endpoints(key, record)

    def _version(self, key: ObjectKey, version: Payload, there: JSONObject | None) -> Iterator[Loss]:
        number, status = text(version, "version"), text(version, "status") or "draft"
        below = f"/versions/{quote(number, safe='')}"
        if there is None:
            first = status if status in _FIRST_STATES else "active"
            body: JSONObject = {"server_json": version.get("server_json"), "status": first}
            for name in ("source", "tools", "connect_options"):
                if version.get(name):
                    body[name] = version[name]
            try_it = partial(self._call, key, "POST", f"{_path(key)}/versions", body)
            refused = list(attempt(key, f"versions/{number}", try_it))
            if refused:
                yield from refused
                return
            there = {"status": first}
        if there.get("status") != status:
            patch = partial(self._call, key, "PATCH", _path(key) + below, {"status": status})
            yield from attempt(key, f"versions/{number}/status", patch)
        yield from self._tags(key, below, version, there)

    def _tags(self, key: ObjectKey, below: str, wanted: JSONObject, there: JSONObject) -> Iterator[Loss]:
        present = _tags(there)
        for name, value in own_tags(_tags(wanted)).items():
            if present.get(name) != value:
                yield from attempt(
                    key, f"{below.strip('/')}/tags/{name}".lstrip("/"), partial(self._tag, key, below, name, value)
                )

    def _endpoints(self, key: ObjectKey, record: ServerObjectRecord) -> Iterator[Loss]:
        there = {_identity(entry) for entry in self._rows(key, "endpoints", "mcp_access_endpoints")}
        for endpoint in record.details.get("access_endpoints", ()):
            if _identity(endpoint) in there:
                continue
            fields = ("url", "transport_type", "server_version", "server_alias")
            body: JSONObject = {name: endpoint[name] for name in fields if endpoint.get(name)}
            post = partial(self._call, key, "POST", f"{_path(key)}/endpoints", body)
            yield from attempt(key, f"endpoints/{endpoint.get('url')}", post)

    def _rows(self, key: ObjectKey, below: str, field: str) -> Iterator[JSONObject]:
        params: JSONObject = {"max_results": 100}
        path = f"{_path(key)}/{below}"
        return self._context.pages(path, params, field, workspace=key.workspace, method="GET")

    def _tag(self, key: ObjectKey, below: str, name: str, value: str) -> JSONObject:
        return self._call(key, "POST", f"{_path(key)}{below}/tags", {"key": name, "value": value})

    def _call(self, key: ObjectKey, method: str, path: str, body: JSONObject | None = None) -> JSONObject:
        call: Callable[..., JSONObject] = self._context.client.call
        return call(method, path, body=body, workspace=key.workspace)


def _path(key: ObjectKey) -> str:
    return f"{_SERVERS}/{quote(key.id, safe='/')}"


def _tags(entry: JSONObject) -> dict[str, str]:
    tags = entry.get("tags")
    return {name: str(value) for name, value in tags.items()} if isinstance(tags, dict) else {}


def _is_begun(found: JSONObject) -> bool:
    """Tell whether a server is marked as incomplete, or so bare that a restore may have ended before the mark."""
    bare = not (found.get("latest_version") or found.get("aliases") or found.get("tags"))
    return provenance.INCOMPLETE in _tags(found) or bare


def _own_icons(payload: JSONObject) -> list[JSONObject]:
    """Return the server's own icons; the answer adds those of its newest version."""
    return [
        {name: value for name, value in icon.items() if name != "source"}
        for icon in rows(payload, "icons")
        if icon.get("source") != "version"
    ]


def _identity(endpoint: JSONObject) -> tuple[str, ...]:
    return tuple(text(endpoint, name) for name in ("url", "transport_type", "server_version", "server_alias"))
