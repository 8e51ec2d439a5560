"""`mcp_servers` with versions, tags, aliases and access endpoints."""

from __future__ import annotations

import re
from collections.abc import Iterator

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.spec.records.server_object import ServerObjectRecord
from mlflow_archive.stream import Content, ObjectKey
from mlflow_archive.tracking.database.exact.made.making import (
    Making,
    Row,
    TableRows,
    batches,
    invented,
    not_understood,
    workspace_of,
)
from mlflow_archive.tracking.database.exact.made.values import json_text, present
from mlflow_archive.tracking.paging import integer, mapping, member, objects, text

_VERSION = re.compile(r"(\d{1,10})\.(\d{1,10})\.(\d{1,10})(?:-([0-9A-Za-z.-]+))?(?:\+[0-9A-Za-z.-]+)?")
_RELEASE = "2"


def rows(making: Making, key: ObjectKey, content: Content) -> Iterator[TableRows]:  # noqa: ARG001 - as all makers
    """Yield the rows of an MCP server.

    Raises:
        IntegrityError: A version's number is none.
    """
    record = content.record
    if not isinstance(record, ServerObjectRecord):
        return
    payload, versions = record.payload, record.details.get("versions", ())
    named: Row = {"workspace": workspace_of(key), "name": text(payload.get("name")) or key.id}
    made = [_version(key, named, version) for version in versions]
    yield "mcp_servers", [_server(named, payload, versions)]
    yield from batches("mcp_server_versions", made)
    yield from batches(
        "mcp_server_tags", ({**named, "key": k, "value": v} for k, v in mapping(payload.get("tags")).items())
    )
    yield from batches(
        "mcp_server_version_tags",
        (
            {**named, "version": text(version.get("version")), "key": k, "value": v}
            for version in versions
            for k, v in mapping(version.get("tags")).items()
        ),
    )
    yield from batches(
        "mcp_server_aliases",
        ({**named, "alias": alias, "version": version} for alias, version in _aliases(payload.get("aliases")).items()),
    )
    endpoints = (_endpoint(named, endpoint) for endpoint in record.details.get("access_endpoints", ()))
    yield from batches("mcp_access_endpoints", endpoints)


def _server(named: Row, payload: JSONObject, versions: tuple[JSONObject, ...]) -> Row:
    """Return the row of a server without what its answer took over from the newest version."""
    latest = next((one for one in versions if one.get("version") == payload.get("latest_version")), {})
    document = member(latest, "server_json")

    def own(name: str) -> JSONValue:
        value = payload.get(name)
        return None if value == document.get(name) else value

    return {
        **named,
        "display_name": present(payload.get("display_name")),
        "description": present(own("description")),
        "icons": json_text(own("icons")),
        **_signed(payload),
    }


def _version(key: ObjectKey, named: Row, version: JSONObject) -> Row:
    word = text(version.get("version"))
    found = _VERSION.fullmatch(word)
    if found is None:
        raise not_understood(key, f"the version {word[:50]!r}, which is none of the form 1.2.3")
    return {
        **named,
        "version": word,
        "version_major": int(found[1]),
        "version_minor": int(found[2]),
        "version_patch": int(found[3]),
        "version_prerelease_sort_key": _sort_key(found[4] or ""),
        "server_json": json_text(version.get("server_json")),
        "status": text(version.get("status")) or "draft",
        "tools": json_text(version.get("tools")),
        "source": present(version.get("source")),
        "connect_options": json_text(version.get("connect_options") or None),
        **_signed(version),
    }


def _sort_key(prerelease: str) -> str:
    """Return MLflow's key, which sorts as a text in the order of semantic versions."""
    if not prerelease:
        return _RELEASE
    return "".join(
        f"0{len(word):03d}{word}" if word.isdigit() else "1" + "".join(f"{ord(char):03d}" for char in word) + "000"
        for word in prerelease.split(".")
    )


def _endpoint(named: Row, endpoint: JSONObject) -> Row:
    url = text(endpoint.get("url"))
    return {
        "id": text(endpoint.get("id")) or f"ae-{invented('access endpoint', named['name'], url)}",
        "workspace": named["workspace"],
        "server_name": named["name"],
        "server_version": present(endpoint.get("server_version")),
        "server_alias": present(endpoint.get("server_alias")),
        "url": url,
        "transport_type": text(endpoint.get("transport_type")) or "streamable-http",
        **_signed(endpoint),
    }


def _aliases(value: JSONValue) -> dict[str, str]:
    if isinstance(value, dict):
        return {alias: text(version) for alias, version in value.items()}
    return {text(one.get("alias")): text(one.get("version")) for one in objects(value)}


def _signed(payload: JSONObject) -> Row:
    created = integer(payload.get("creation_timestamp")) or 0
    return {
        "created_by": present(payload.get("created_by")),
        "last_updated_by": present(payload.get("last_updated_by")),
        "created_at": created,
        "last_updated_at": integer(payload.get("last_updated_timestamp")) or created,
    }
