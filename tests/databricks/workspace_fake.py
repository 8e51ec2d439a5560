"""A Databricks workspace in a thread of the test process, in front of a real MLflow server.

It has exactly the REST endpoints that the package uses. It is held to public documentation and to the clients of
others; nobody has compared it with the service. From where its behaviour is:

REST reference (docs.databricks.com/api/workspace: experiments, workspace, permissions, modelregistry; the docstrings of
databricks-sdk's ``service/{ml,workspace,iam}.py``): requests and answers; ``workspace/mkdirs`` makes what is missing
    above, ``workspace/import`` wants the folder above to be there, a language for SOURCE, and refuses to overwrite
    unless told; an access control list says of each level whether it is inherited; PATCH adds direct levels.
MLflow's ``protos/databricks_artifacts_pb2``, ``store/artifact/databricks_artifact_repo_resources.py``,
``store/artifact/databricks_models_artifact_repo.py``: signed addresses for files of runs, logged models, versions.
mlflow-export-import (``notebook/download_notebook.py``, ``common/utils.py``): a notebook's revision is asked for by a
    JSON body of a GET, which is not documented; the tags that a workspace takes from nobody.

The tracking API is that of the MLflow server behind, with the differences on top: names of experiments are absolute
paths below a folder that is there, artifact addresses begin with ``dbfs:/databricks``, a run belongs to who made it,
there is no Default experiment, no ``/version`` and no ``/ajax-api``.

Assumptions: the error codes where the documentation has none; a tag that nobody may set refuses its whole request; an
experiment's tag cannot be deleted; addresses are signed for S3.
"""

from __future__ import annotations

import base64
import json
import posixpath
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

import requests

from tests.databricks.unity_fake import UnityFake
from tests.databricks.workspace_errors import RefusedError, Reply, bad, missing, reply

TOKEN = "dapi-fedcba9876543210-secret"
ME = "me@example.com"
REFUSED_TAGS = {
    "mlflow.user",
    "mlflow.log-model.history",
    "mlflow.rootRunId",
    "mlflow.experiment.sourceType",
    "mlflow.experiment.sourceId",
}
_TRACKING = "/api/2.0/mlflow/"
_OURS, _THEIRS = b"dbfs:/databricks/mlflow-tracking/", b"mlflow-artifacts:/"
_ENDINGS = {"SOURCE": "py", "HTML": "html", "JUPYTER": "ipynb", "DBC": "dbc"}


@dataclass
class Notebook:
    """A notebook with its revisions; the last one is the present one."""

    revisions: dict[str, bytes]
    language: str = "PYTHON"


@dataclass
class Asked:
    """One request, as it came."""

    method: str
    path: str
    query: dict[str, str]
    body: dict[str, Any]
    headers: dict[str, str] = field(default_factory=dict)


class WorkspaceFake:
    """A context manager; ``server`` is the URI of the MLflow server behind."""

    def __init__(self, server: str) -> None:
        self.server = server
        self.host = ""
        self.folders = {"/", "/Users", "/Shared", f"/Users/{ME}"}
        self.notebooks: dict[str, Notebook] = {}
        self.acls: dict[tuple[str, str], list[dict[str, Any]]] = {}
        self.unity = UnityFake()
        self.has_own_registry = True
        self.asked: list[Asked] = []
        self._session = requests.Session()
        self._httpd: ThreadingHTTPServer | None = None
        self._lock = threading.RLock()

    def __enter__(self) -> WorkspaceFake:
        self._httpd = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._httpd.daemon_threads = True
        threading.Thread(target=self._httpd.serve_forever, daemon=True).start()
        self.host = f"http://127.0.0.1:{self._httpd.server_port}"
        return self

    def __exit__(self, *_: object) -> None:
        assert self._httpd is not None
        self._httpd.shutdown()
        self._httpd.server_close()
        self._session.close()

    def serve(self, asked: Asked, raw: bytes) -> Reply:
        if asked.path.startswith("/signed/"):
            return self._signed(asked, raw)
        if asked.path == "/.well-known/databricks-config":
            return reply(404, {"error_code": "NOT_FOUND", "message": "This host tells nothing of itself."})
        if asked.headers.get("authorization") != f"Bearer {TOKEN}":
            return reply(403, {"error_code": 403, "message": "Invalid access token."})
        self.asked.append(asked)
        for begin, serve in self._rooms().items():
            if asked.path.startswith(begin):
                try:
                    return serve(asked, raw)
                except RefusedError as refusal:
                    return refusal.reply
        return reply(
            404, {"error_code": "ENDPOINT_NOT_FOUND", "message": f"No API found for '{asked.method} {asked.path}'"}
        )

    def _rooms(self) -> dict[str, Callable[[Asked, bytes], Reply]]:
        return {
            _TRACKING + "unity-catalog/": lambda asked, _: self.unity.registry(
                asked.method, asked.path, asked.query, asked.body
            ),
            "/api/2.1/unity-catalog/permissions/": lambda asked, _: self.unity.permissions(
                asked.method, asked.path, asked.body
            ),
            "/api/2.0/fs/": lambda asked, raw: self.unity.files(asked.method, asked.path, asked.query, raw),
            "/api/2.0/workspace/": lambda asked, _: self._workspace(asked),
            "/api/2.0/permissions/": lambda asked, _: self._permissions(asked),
            _TRACKING: self._tracking,
        }

    def _tracking(self, asked: Asked, raw: bytes) -> Reply:
        below = asked.path.removeprefix(_TRACKING)
        if "credentials-for" in below:
            return self._credentials(below, asked.body)
        if below == "databricks/registered-models/get":
            return self._model_id(asked)
        if below.startswith(("registered-models", "model-versions")):
            if not self.has_own_registry:
                raise RefusedError(400, "FEATURE_DISABLED", "The workspace model registry is disabled.")
            special = self._versions(below, asked)
            if special is not None:
                return special
        if below == "experiments/delete-experiment-tag":
            raise missing("No such API.", "ENDPOINT_NOT_FOUND")
        if below == "experiments/create":
            self._require_place(str(asked.body.get("name")))
        if below in ("runs/create", "runs/log-batch", "experiments/create"):
            _require_free(tag["key"] for tag in asked.body.get("tags", ()))
        if below in ("runs/set-tag", "experiments/set-experiment-tag"):
            _require_free([str(asked.body.get("key"))])
        if below == "runs/create":
            tags = [*asked.body.get("tags", ()), {"key": "mlflow.user", "value": ME}]
            raw = json.dumps({**asked.body, "tags": tags, "user_id": ME}).encode()
        return self._dressed(below, self._forward(asked, raw))

    def _forward(self, asked: Asked, raw: bytes) -> Reply:
        answer = self._session.request(
            asked.method,
            self.server + quote(asked.path),
            params={name: value.replace(_OURS.decode(), _THEIRS.decode()) for name, value in asked.query.items()},
            data=raw.replace(_OURS, _THEIRS),
            headers={"Content-Type": "application/json"},
            timeout=60,
        )
        return answer.status_code, answer.content.replace(_THEIRS, _OURS), {"Content-Type": "application/json"}

    def _dressed(self, below: str, found: Reply) -> Reply:
        """Add to experiments what a workspace says of them; take away the one that it has not."""
        if found[0] != 200 or not below.startswith(("experiments/get", "experiments/search")):
            return found
        answer = json.loads(found[1])
        rows = answer.get("experiments", [answer["experiment"]] if "experiment" in answer else [])
        for row in rows:
            row["tags"] = [
                *row.get("tags", ()),
                {"key": "mlflow.experiment.sourceType", "value": "MLFLOW_EXPERIMENT"},
                {"key": "mlflow.experiment.sourceId", "value": row["experiment_id"]},
                {"key": "mlflow.experiment.sourceName", "value": row["name"]},
                {"key": "mlflow.ownerEmail", "value": ME},
            ]
        if "experiments" in answer:
            answer["experiments"] = [row for row in rows if row["experiment_id"] != "0"]
        return reply(200, answer)

    def _require_place(self, name: str) -> None:
        if not name.startswith("/"):
            raise bad(f"Got an invalid experiment name '{name}'. An experiment name must be an absolute path.")
        if posixpath.dirname(name) not in self.folders:
            raise missing(f"Parent directory {posixpath.dirname(name)} does not exist.")
        if name in self.notebooks:
            raise RefusedError(400, "RESOURCE_ALREADY_EXISTS", f"Node named '{name}' already exists.")

    def _versions(self, below: str, asked: Asked) -> Reply | None:
        """Serve what the workspace's own registry does otherwise: it has copies of the files."""
        if below not in (
            "model-versions/get-download-uri",
            "model-versions/list-artifacts",
            "model-versions/get-signed-download-uri",
        ):
            return None
        uri = Asked("GET", _TRACKING + "model-versions/get-download-uri", asked.query, {})
        status, body, headers = self._forward(uri, b"")
        if status != 200:
            return status, body, headers
        place = json.loads(body)["artifact_uri"].removeprefix(_OURS.decode())
        name, version = asked.query["name"], asked.query["version"]
        if below.endswith("get-download-uri"):
            return reply(200, {"artifact_uri": f"dbfs:/databricks/mlflow-registry/{name}-{version}/models/{name}"})
        path = asked.query.get("path", "")
        if below.endswith("get-signed-download-uri"):
            return reply(200, {"signed_uri": self._address(place, path), "headers": []})
        listed = self._session.get(
            f"{self.server}/api/2.0/mlflow-artifacts/artifacts", params={"path": f"{place}/{path}".strip("/")}
        ).json()
        prefix = f"{path}/" if path else ""
        files = [{**file, "path": prefix + file["path"]} for file in listed.get("files", ())]
        return reply(200, {"root_uri": "", "files": files})

    def _model_id(self, asked: Asked) -> Reply:
        found = self._forward(Asked("GET", _TRACKING + "registered-models/get", asked.query, {}), b"")
        if found[0] != 200:
            return found
        about = json.loads(found[1])["registered_model"]
        about["id"] = "id-of-" + about["name"].replace(" ", "-")
        return reply(200, {"registered_model_databricks": {**about, "permission_level": "CAN_MANAGE"}})

    def _credentials(self, below: str, body: dict[str, Any]) -> Reply:
        if below.startswith("artifacts/"):
            run_id = body["run_id"]
            run = self._session.get(f"{self.server}{_TRACKING}runs/get", params={"run_id": run_id}).json()["run"]
            root = run["info"]["artifact_uri"]
            signed = [{"run_id": run_id, "path": path, **self._info(root, path)} for path in body["path"]]
            return reply(200, {"credential_infos": signed})
        model_id = below.split("/")[1]
        model = self._session.get(f"{self.server}{_TRACKING}logged-models/{model_id}").json()["model"]
        root = model["info"]["artifact_uri"]
        entries = [{"path": path, "credential_info": self._info(root, path)} for path in body["paths"]]
        return reply(200, {"credentials": entries})

    def _info(self, root: str, path: str) -> dict[str, Any]:
        address = self._address(root.removeprefix(_THEIRS.decode()), path)
        return {"signed_uri": address, "type": "AWS_PRESIGNED_URL", "headers": []}

    def _address(self, place: str, path: str) -> str:
        return f"{self.host}/signed/{quote(f'{place}/{path}'.strip('/'))}?X-Amz-Signature=s3cr3t"

    def _signed(self, asked: Asked, raw: bytes) -> Reply:
        """Serve as S3 does: by the signature alone, and with a length."""
        if "authorization" in asked.headers:
            return 400, b"<Error><Code>InvalidArgument</Code></Error>", {}
        if asked.query != {"X-Amz-Signature": "s3cr3t"}:
            return 403, b"<Error><Code>SignatureDoesNotMatch</Code></Error>", {}
        if asked.method == "PUT" and "content-length" not in asked.headers:
            return 411, b"<Error><Code>MissingContentLength</Code></Error>", {}
        place = quote(asked.path.removeprefix("/signed/"))
        address = f"{self.server}/api/2.0/mlflow-artifacts/artifacts/{place}"
        answer = self._session.request(asked.method, address, data=raw or None, timeout=60)
        return answer.status_code, answer.content if asked.method == "GET" else b"", {}

    def _workspace(self, asked: Asked) -> Reply:
        action = asked.path.rpartition("/")[2]
        given = {**asked.query, **asked.body}
        path = str(given["path"])
        with self._lock:
            if action == "mkdirs":
                if path.startswith("/Users/") and path.split("/")[2] != ME:
                    raise missing(f"The parent folder ({posixpath.dirname(path)}) does not exist.")
                while path not in self.folders:
                    self.folders.add(path)
                    path = posixpath.dirname(path)
                return reply(200, {})
            if action == "import":
                return self._import(path, given)
            if path in self.folders and action == "get-status":
                return reply(200, {"path": path, "object_type": "DIRECTORY", "object_id": 1})
            if path not in self.notebooks:
                raise missing(f"Path ({path}) doesn't exist.")
            notebook = self.notebooks[path]
            if action == "get-status":
                about = {"path": path, "object_type": "NOTEBOOK", "language": notebook.language, "object_id": 2}
                return reply(200, about)
            return self._export(notebook, given)

    def _export(self, notebook: Notebook, given: dict[str, Any]) -> Reply:
        newest = list(notebook.revisions)[-1]
        revision = str(given.get("revision", {}).get("revision_timestamp", newest))
        if revision not in notebook.revisions:
            raise missing(f"Revision {revision} does not exist.")
        form = given.get("format", "SOURCE")
        if form not in _ENDINGS:
            raise bad(f"Unknown format {form}.")
        source = notebook.revisions[revision]
        content = source if form == "SOURCE" else form.encode() + b" of " + source
        return reply(200, {"content": base64.b64encode(content).decode(), "file_type": _ENDINGS[form]})

    def _import(self, path: str, given: dict[str, Any]) -> Reply:
        if given.get("format", "SOURCE") == "SOURCE" and "language" not in given:
            raise bad("The language is required for the format SOURCE.")
        if posixpath.dirname(path) not in self.folders:
            raise missing(f"The parent folder ({posixpath.dirname(path)}) does not exist.")
        if path in self.notebooks and not given.get("overwrite"):
            raise RefusedError(400, "RESOURCE_ALREADY_EXISTS", f"Path ({path}) already exists.")
        self.notebooks[path] = Notebook({"1": base64.b64decode(given["content"])}, given["language"])
        return reply(200, {})

    def _permissions(self, asked: Asked) -> Reply:
        kind, _, id = asked.path.removeprefix("/api/2.0/permissions/").partition("/")
        entries = self.acls.setdefault((kind, id), [_inherited("admins", "CAN_MANAGE")])
        if asked.method == "PATCH":
            for given in asked.body["access_control_list"]:
                principal = {name: value for name, value in given.items() if name != "permission_level"}
                level = {"permission_level": given["permission_level"], "inherited": False}
                entries[:] = [entry for entry in entries if not principal.items() <= entry.items()]
                entries.append({**principal, "all_permissions": [level]})
        return reply(200, {"object_id": f"/{kind}/{id}", "object_type": kind, "access_control_list": entries})


def _inherited(group: str, level: str) -> dict[str, Any]:
    above = {"permission_level": level, "inherited": True, "inherited_from_object": ["/directories/1"]}
    return {"group_name": group, "all_permissions": [above]}


def _require_free(keys: Any) -> None:
    for key in keys:
        if key in REFUSED_TAGS:
            raise bad(f"Cannot set the reserved tag {key}.")


def _handler(fake: WorkspaceFake) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length", 0))
            raw = self.rfile.read(length)
            parts = urlsplit(self.path)
            is_json = raw[:1] == b"{" and not parts.path.startswith(("/signed/", "/api/2.0/fs/"))
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = json.loads(raw) if is_json else {}
            asked = Asked(self.command, unquote(parts.path), dict(parse_qsl(parts.query)), body, headers)
            status, answer, sent = fake.serve(asked, raw)
            self.send_response(status)
            for name, value in sent.items():
                self.send_header(name, value)
            if "Content-Length" not in sent:
                self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(answer)

        do_POST = do_PUT = do_PATCH = do_DELETE = do_HEAD = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    return Handler
