"""Lists that a server gives page by page, read so that nothing is missed while the server is in use.

MLflow's page tokens are offsets. A row that appears in front of the cursor repeats another one; a row that vanishes
in front of it makes the next page skip one. So listings are ordered by something that does not change, rows are
de-duplicated by id, and a listing of more than one page is walked again until a walk finds nothing new: a row that
was there all the time is missed only if it is skipped in every walk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

from mlflow_archive.errors import IntegrityError, UnavailableError
from mlflow_archive.spec.canonical import JSONObject, JSONValue, decode_float, encode_float
from mlflow_archive.tracking.client import ServerClient

#: A server in use always has something new; what a fourth walk would find was made after the first began.
MAX_WALKS = 3
#: A filter may leave some pages of a server empty, but not this many in a row.
MAX_EMPTY_PAGES = 1000


def objects(value: JSONValue) -> list[JSONObject]:
    """Return the JSON objects of a list; an absent list is an empty one (protobuf leaves empty lists out)."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: JSONValue) -> str:
    """Return a JSON string, or ``""`` where there is none; numbers as their digits."""
    return "" if value is None or isinstance(value, (dict, list)) else str(value)


def integer(value: JSONValue) -> int | None:
    """Return a JSON integer; protobuf writes int64 as a string. None where there is none.

    Raises:
        IntegrityError: It is a word, or not finite.
    """
    try:
        return int(value) if isinstance(value, (int, float, str)) and value != "" else None
    except (ValueError, OverflowError) as error:
        raise _no_number(value) from error


def number(value: JSONValue) -> JSONValue:
    """Return a metric's value as a document writes it; protobuf leaves zero out.

    Raises:
        IntegrityError: It is a word, or too large for a double.
    """
    try:
        return encode_float(decode_float(value)) if isinstance(value, (int, float, str)) else 0.0
    except (ValueError, OverflowError) as error:
        raise _no_number(value) from error


def _no_number(value: JSONValue) -> IntegrityError:
    return IntegrityError(f"The server's answer has {str(value)[:50]!r} where a number belongs.")


def finite(value: JSONValue) -> JSONValue:
    """Return JSON in which numbers that are not finite, which Python writes and JSON forbids, are words."""
    if isinstance(value, float):
        return encode_float(value)
    if isinstance(value, list):
        return [finite(item) for item in value]
    if isinstance(value, dict):
        return {key: finite(item) for key, item in value.items()}
    return value


def member(value: JSONObject, name: str) -> JSONObject:
    """Return an object within an object; an absent one is empty."""
    inner = value.get(name)
    return inner if isinstance(inner, dict) else {}


def mapping(value: JSONValue) -> dict[str, str]:
    """Return a list of ``{key, value}`` as a mapping; an empty value is left out by protobuf and comes back as ""."""
    if isinstance(value, dict):
        return {key: text(item) for key, item in value.items()}
    return {text(item.get("key")): text(item.get("value")) for item in objects(value)}


def without(value: JSONObject, *names: str) -> JSONObject:
    """Return a JSON object without some of its fields."""
    return {key: item for key, item in value.items() if key not in names}


def pages(
    client: ServerClient,
    method: str,
    path: str,
    request: JSONObject,
    *,
    workspace: str | None = None,
) -> Iterator[JSONObject]:
    """Yield the answers of a paged call, lazily.

    Args:
        client: The server.
        method: ``GET`` sends the request as a query (lists as repeated keys), ``POST`` as a body.
        path: Below the server's root.
        request: The request, without a page token.
        workspace: The workspace asked.

    Raises:
        UnavailableError: The server gives the same token twice, or one empty page after the other, so that the
            listing would never end.
    """
    token: str = ""
    empty = 0
    while True:
        body = {**request, "page_token": token} if token else request
        if method == "GET":
            answer = client.call(method, path, params=_query(body), workspace=workspace)
        else:
            answer = client.call(method, path, body=body, workspace=workspace)
        yield answer
        following = text(answer.get("next_page_token"))
        if not following:
            return
        empty = 0 if any(isinstance(value, list) and value for value in answer.values()) else empty + 1
        if following == token or empty >= MAX_EMPTY_PAGES:
            raise UnavailableError(
                f"The server repeats a page of {path} for ever; check its version and try again.", code="paging"
            )
        token = following


def each_once(
    walk: Callable[[], Iterator[list[JSONObject]]],
    identify: Callable[[JSONObject], str],
    *,
    steady: bool = False,
) -> Iterator[JSONObject]:
    """Yield every row of a listing once.

    Args:
        walk: Starts a fresh walk over the pages, each a list of rows.
        identify: Gives a row's id.
        steady: Nothing can change meanwhile (`client.is_steady`): one walk has every row, once.
    """
    if steady:
        for page in walk():
            yield from page
        return
    seen: set[str] = set()
    for _ in range(MAX_WALKS):
        number_of_pages = 0
        found = 0
        for page in walk():
            number_of_pages += 1
            for row in page:
                id = identify(row)
                if id not in seen:
                    seen.add(id)
                    found += 1
                    yield row
        # One page is one moment of the server: nothing can have moved.
        if number_of_pages <= 1 or not found:
            return


def _query(request: JSONObject) -> list[tuple[str, str]]:
    return [
        (name, str(item).lower() if isinstance(item, bool) else str(item))
        for name, value in request.items()
        for item in (value if isinstance(value, list) else [value])
    ]
