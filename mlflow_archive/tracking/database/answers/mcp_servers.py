"""`mcp-servers/...`: MCP servers with their versions, tags, aliases and access endpoints.

What a server works out, this does too: the newest version, what an alias leads to, and the status, the description and
the icons that a server takes from its newest version. Access endpoints that lead nowhere are given too, by themselves.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from mlflow_archive.spec.canonical import JSONObject, JSONValue
from mlflow_archive.tracking.database.answers.assessments import loaded
from mlflow_archive.tracking.database.asking import Question, Route

_MOST = 100
_TOOL = ("name", "title", "description", "inputSchema", "outputSchema", "annotations", "icons", "execution")
_OPTIONAL_OF_ICONS = frozenset({"sizes", "mimeType", "theme", "source"})
_SUFFIXES = {"created_at": "creation_timestamp", "last_updated_at": "last_updated_timestamp"}
_LATEST = "latest"


@dataclass(frozen=True)
class _Shelf:
    """What belongs to some servers: server -> versions, newest first; tags, aliases, endpoints."""

    versions: Mapping[str, list[JSONObject]]
    without_tools: frozenset[tuple[str, str]]
    newest: Mapping[str, JSONObject]
    tags: Mapping[str, dict[str, JSONValue]]
    aliases: Mapping[str, dict[str, str]]
    endpoints: Mapping[str, list[dict[str, Any]]]

    def target(self, endpoint: Mapping[str, Any]) -> JSONObject | None:
        """Return the version that an endpoint leads to."""
        server, version = endpoint["server_name"], endpoint["server_version"]
        if version is None and endpoint["server_alias"] == _LATEST:
            return self.newest.get(server)
        wanted = version if version is not None else self.aliases.get(server, {}).get(endpoint["server_alias"])
        return next((one for one in self.versions.get(server, ()) if one["version"] == wanted), None)


def search(question: Question) -> JSONObject:
    """Return a page of the servers of the workspace by name; its token is the last name."""
    table = question.snapshot.tables["mcp_servers"]
    after = sa.and_(question.here(table), table.c.name > question.text("page_token"))
    rows = question.snapshot.rows(sa.select(table).where(after).order_by(table.c.name).limit(_MOST + 1))
    shelf = _shelf(question, [row["name"] for row in rows[:_MOST]])
    answer: JSONObject = {"mcp_servers": [_server(row, shelf) for row in rows[:_MOST]]}
    return {**answer, "next_page_token": rows[_MOST - 1]["name"]} if len(rows) > _MOST else answer


def versions(question: Question) -> JSONObject:
    """Return the versions of a server that are not deleted, oldest first."""
    name = _name(question)
    found = _shelf(question, [name]).versions.get(name, [])
    return {"mcp_server_versions": [*sorted(found, key=lambda one: (one["creation_timestamp"], one["version"]))]}


def endpoints(question: Question) -> JSONObject:
    """Return the access endpoints of a server by id, with the version that each leads to."""
    name = _name(question)
    shelf = _shelf(question, [name])
    result: list[JSONValue] = []
    for row in shelf.endpoints.get(name, ()):
        target = shelf.target(row)
        told = target is not None and (name, target["version"]) not in shelf.without_tools
        result.append({**_endpoint(row, target), "tools": target["tools"] if target is not None and told else None})
    return {"mcp_access_endpoints": result}


def _name(question: Question) -> str:
    return "/".join(question.named.values())


def _shelf(question: Question, names: Sequence[str]) -> _Shelf:
    tags: dict[str, dict[str, JSONValue]] = {}
    for row in _rows(question, "mcp_server_tags", "name", names, "key"):
        tags.setdefault(row["name"], {})[row["key"]] = row["value"] or ""
    aliases: dict[str, dict[str, str]] = {}
    for row in _rows(question, "mcp_server_aliases", "name", names, "alias"):
        aliases.setdefault(row["name"], {})[row["alias"]] = row["version"]
    of_versions: dict[tuple[str, str], dict[str, JSONValue]] = {}
    for row in _rows(question, "mcp_server_version_tags", "name", names, "key"):
        of_versions.setdefault((row["name"], row["version"]), {})[row["key"]] = row["value"] or ""
    found: dict[str, list[JSONObject]] = {}
    without: set[tuple[str, str]] = set()
    for row in _newest_first(question, names):
        names_of = [alias for alias, version in aliases.get(row["name"], {}).items() if version == row["version"]]
        tagged = of_versions.get((row["name"], row["version"]), {})
        found.setdefault(row["name"], []).append(_version(row, tagged, names_of))
        if loaded(row["tools"]) is None:
            without.add((row["name"], row["version"]))
    reached: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(question, "mcp_access_endpoints", "server_name", names, "id"):
        reached.setdefault(row["server_name"], []).append(row)
    newest = {
        name: next((one for one in several if one["status"] == "active"), several[0]) for name, several in found.items()
    }
    return _Shelf(found, frozenset(without), newest, tags, aliases, reached)


def _rows(question: Question, name: str, column: str, names: Sequence[str], order: str) -> list[dict[str, Any]]:
    table = question.snapshot.tables[name]
    statement = sa.select(table).where(question.here(table), table.c[column].in_(names))
    return question.snapshot.rows(statement.order_by(table.c[order]))


def _newest_first(question: Question, names: Sequence[str]) -> Iterable[dict[str, Any]]:
    table = question.snapshot.tables["mcp_server_versions"]
    columns = ("major", "minor", "patch", "prerelease_sort_key")
    order = [*(table.c[f"version_{column}"] for column in columns), table.c.created_at, table.c.version]
    statement = sa.select(table).where(question.here(table), table.c.name.in_(names), table.c.status != "deleted")
    return question.snapshot.rows(statement.order_by(*(column.desc() for column in order)))


def _server(row: dict[str, Any], shelf: _Shelf) -> JSONObject:
    name = row["name"]
    latest = shelf.newest.get(name)
    manifest = latest["server_json"] if latest is not None else None
    manifest = manifest if isinstance(manifest, dict) else {}
    described = row["description"] if row["description"] is not None else manifest.get("description")
    targets = [(one, shelf.target(one)) for one in shelf.endpoints.get(name, ())]
    return {
        **_fields(row, "name", "display_name", "workspace"),
        "description": described,
        "icons": _resolved(loaded(row["icons"]), manifest.get("icons")),
        "status": latest["status"] if latest is not None else None,
        "access_endpoints": [_endpoint(one, target) for one, target in targets if target is not None],
        "latest_version": latest["version"] if latest is not None else None,
        "aliases": [{"alias": alias, "version": version} for alias, version in shelf.aliases.get(name, {}).items()],
        "tags": shelf.tags.get(name, {}),
    }


def _version(row: dict[str, Any], tags: dict[str, JSONValue], aliases: Sequence[str]) -> JSONObject:
    tools, options = loaded(row["tools"]), loaded(row["connect_options"])
    return {
        **_fields(row, "name", "version", "workspace", "status", "source"),
        "server_json": loaded(row["server_json"]),
        "tools": [_tool(tool) for tool in tools or ()],
        "aliases": [*aliases],
        "tags": tags,
        "connect_options": {name: {"hidden": False, **settings} for name, settings in (options or {}).items()},
    }


def _endpoint(row: dict[str, Any], target: JSONObject | None) -> JSONObject:
    names = ("id", "server_name", "url", "transport_type", "workspace", "server_version", "server_alias")
    return {**_fields(row, *names), "resolved_version": target}


def _tool(tool: Mapping[str, Any]) -> JSONObject:
    icons = tool.get("icons")
    shown = {name: tool.get(name) for name in _TOOL}
    return {**shown, "icons": None if icons is None else [_icon(icon) for icon in icons]}


def _resolved(own: Any, of_version: Any) -> JSONValue:
    """Return a server's icons, its own before those of its newest version that are for other themes."""
    if own is not None and not own:
        return []
    mine = [icon for icon in own or () if isinstance(icon, dict)]
    themes = [icon.get("theme") for icon in mine]
    others = [icon for icon in of_version or () if isinstance(icon, dict) and icon.get("theme") not in themes]
    icons = [_icon({**icon, "source": "server"}) for icon in mine]
    return [*icons, *(_icon({**icon, "source": "version"}) for icon in others)] or None


def _icon(icon: Mapping[str, Any]) -> JSONObject:
    return {name: value for name, value in icon.items() if value is not None or name not in _OPTIONAL_OF_ICONS}


def _fields(row: Mapping[str, Any], *names: str) -> JSONObject:
    """Return fields as a server shows them, those that are NULL too."""
    return {
        **{name: row[name] for name in (*names, "created_by", "last_updated_by")},
        **{shown: row[column] for column, shown in _SUFFIXES.items()},
    }


_SERVERS = "/api/3.0/mlflow/mcp-servers"
ROUTES = (
    Route("GET", _SERVERS, search),
    # A name has two parts.
    Route("GET", f"{_SERVERS}/{{space}}/{{name}}/versions", versions),
    Route("GET", f"{_SERVERS}/{{space}}/{{name}}/endpoints", endpoints),
)
