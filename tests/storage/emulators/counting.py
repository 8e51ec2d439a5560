"""What a store asks of its backend: requests, seen where they leave this process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from unittest.mock import patch

from aiohttp import ClientSession
from yarl import URL


@dataclass(frozen=True)
class Request:
    """A request as it was sent."""

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@contextmanager
def requests_sent() -> Iterator[list[Request]]:
    """Gives a list to which each request of any aiohttp session is added."""
    seen: list[Request] = []
    send = ClientSession._request

    async def noted(session, method, url, **options):
        query = {**URL(url).query, **dict(options.get("params") or {})}
        seen.append(Request(method, URL(url).path, query, dict(options.get("headers") or {})))
        return await send(session, method, url, **options)

    with patch.object(ClientSession, "_request", noted):
        yield seen
