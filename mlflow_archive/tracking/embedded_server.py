"""The child process: the installed MLflow's own server, for one database and one parent.

Started by `mlflow_archive.tracking.embedded`. Its order says what to open, and the token that every request must carry;
its answer is the port, or why not. It serves on the loopback interface until the parent ends, however it ends.
"""

from __future__ import annotations

import hmac
import importlib
import os
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from mlflow_archive.errors import MlflowArchiveError, UnsupportedError
from mlflow_archive.tracking.child import heard, refusal


@dataclass(frozen=True, slots=True)
class Order:
    """What the parent wants.

    Attributes:
        uri: The database for SQLAlchemy, with its password.
        shown: The database for people.
        token: Every request must carry it.
        migrate: Whether it may be brought to the installed MLflow's schema: it is our copy.
    """

    uri: str
    shown: str
    token: str
    migrate: bool


def main() -> None:
    """Serve until the parent is gone."""
    words, reply = heard()
    order = Order(**words)
    try:
        _prepare_database(order)
        serve, port = _prepare_server(order.token)
    except MlflowArchiveError as error:
        reply(refusal(error))
        return
    reply({"port": port})
    serve()


def _prepare_database(order: Order) -> None:
    """Bring the schema up to date if allowed, and let MLflow open its stores."""
    # MLflow's handlers look here; what a process sets itself is in no list of processes.
    os.environ["_MLFLOW_SERVER_FILE_STORE"] = order.uri
    from mlflow.server.handlers import initialize_backend_stores

    _check_schema(order)
    initialize_backend_stores(order.uri, order.uri, os.environ["_MLFLOW_SERVER_ARTIFACT_ROOT"])


def _check_schema(order: Order) -> None:
    from alembic.script import ScriptDirectory
    from alembic.util.exc import CommandError
    from mlflow.store.db import utils as database
    from mlflow.version import VERSION

    engine = database.create_sqlalchemy_engine(order.uri)
    try:
        current = database._get_schema_version(engine)
        script = ScriptDirectory.from_config(database._get_alembic_config(order.uri))
        if current in (None, script.get_current_head()):
            return  # MLflow makes the tables of an empty database when it opens it
        try:
            script.get_revision(current)
        except CommandError:
            raise UnsupportedError(
                f"The database was made by a newer MLflow than the installed {VERSION}: install that newer one.",
                code="newer_schema",
            ) from None
        if not order.migrate:
            raise UnsupportedError(
                f"The database has an older schema than MLflow {VERSION} needs: back it up, then run "
                f"'mlflow db upgrade {order.shown}'{_with_login(order)}.",
                code="older_schema",
            )
        database._upgrade_db(engine)
    finally:
        engine.dispose()


def _with_login(order: Order) -> str:
    return "" if order.shown.startswith("sqlite:") else ", with user and password in the address"


def _prepare_server(token: str) -> tuple[Callable[[], None], int]:
    """Return what serves, and the port that is listened on already."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    port = int(listener.getsockname()[1])
    try:
        importlib.import_module("mlflow.server.otel_api")
    except ModuleNotFoundError:
        return _wsgi_server(token, listener, port), port
    return _asgi_server(token, listener), port


def _wsgi_server(token: str, listener: socket.socket, port: int) -> Callable[[], None]:
    """Serve the Flask application alone: MLflow before it had others."""
    from mlflow.server import app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Handler(WSGIRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log(self, type: str, message: str, *args: Any) -> None:
            """Keep no access log."""

    expected = f"Bearer {token}"

    def guarded(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if not hmac.compare_digest(environ.get("HTTP_AUTHORIZATION", ""), expected):
            start_response("401 Unauthorized", [("Content-Length", "0")])
            return [b""]
        answer: Iterable[bytes] = app(environ, start_response)
        return answer

    server = make_server("127.0.0.1", port, guarded, threaded=True, request_handler=Handler, fd=listener.fileno())
    return server.serve_forever


def _asgi_server(token: str, listener: socket.socket) -> Callable[[], None]:
    import uvicorn

    app = _asgi_application()
    expected = f"Bearer {token}".encode()

    async def guarded(scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "http" and not hmac.compare_digest(_header(scope, b"authorization"), expected):
            await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        await app(scope, receive, send)

    config = uvicorn.Config(guarded, access_log=False, log_level="warning", lifespan="off", ws="none")
    server = uvicorn.Server(config)
    return lambda: server.run(sockets=[listener])


def _header(scope: dict[str, Any], name: bytes) -> bytes:
    return next((value for key, value in scope["headers"] if key == name), b"")


def _asgi_application() -> Any:
    """Compose what MLflow's own application has, without the rooms that need more than mlflow-skinny.

    Those are its jobs, gateway and assistant, which hold nothing to be archived and take seconds to import.
    """
    from fastapi import FastAPI
    from mlflow.server import app as flask_app

    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None)
    _add_workspaces(app)
    for module, name in (
        ("otel_api", "otel_router"),
        ("artifact_router", "artifact_router"),
        ("server_info_api", "server_info_router"),
    ):
        router = _optional(f"mlflow.server.{module}", name)
        if router is not None:
            app.include_router(router)
    _add_mcp(app)
    app.mount("/", _bridge(flask_app))
    return app


def _optional(module: str, name: str) -> Any:
    """Return a part of MLflow that only some versions have, or None."""
    try:
        return getattr(importlib.import_module(module), name, None)
    except ModuleNotFoundError:
        return None


def _bridge(flask_app: Any) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from starlette.middleware.wsgi import WSGIMiddleware
    return WSGIMiddleware(flask_app)


def _add_workspaces(app: Any) -> None:
    resolve = _optional("mlflow.server.workspace_helpers", "resolve_workspace_for_request_if_enabled")
    if resolve is None:
        return
    from mlflow.exceptions import MlflowException
    from mlflow.utils.workspace_context import clear_server_request_workspace, set_server_request_workspace
    from starlette.responses import Response

    async def in_workspace(request: Any, call_next: Any) -> Any:
        try:
            workspace = resolve(request.scope["path"], request.headers.get("X-MLFLOW-WORKSPACE"))
        except MlflowException as error:
            return Response(error.serialize_as_json(), error.get_http_status_code(), media_type="application/json")
        set_server_request_workspace(workspace.name if workspace else None)
        try:
            return await call_next(request)
        finally:
            clear_server_request_workspace()

    app.middleware("http")(in_workspace)


def _add_mcp(app: Any) -> None:
    router = _optional("mlflow.server.mcp_server_api", "mcp_server_router")
    prefixes = _optional("mlflow.server.mcp_server_api", "get_mcp_server_api_route_prefixes")
    if router is None or prefixes is None:
        return
    from mlflow.exceptions import MlflowException
    from starlette.responses import Response

    async def as_json(_request: Any, error: Any) -> Any:
        return Response(error.serialize_as_json(), error.get_http_status_code(), media_type="application/json")

    app.exception_handler(MlflowException)(as_json)
    for prefix in prefixes():
        app.include_router(router, prefix=prefix)


if __name__ == "__main__":
    main()
