"""What the seeding modules share: the client, the server's version, and the objects others refer to."""

from __future__ import annotations

import json
import urllib.error
import urllib.parse
import urllib.request
from collections import Counter
from pathlib import Path
from typing import Any

from mlflow import MlflowClient

#: All times are counted from here, so that they are recognisable: 2024-02-29T12:00:00Z in milliseconds.
EPOCH_MS = 1_709_208_000_000
UNICODE = "Grüße, 世界 🌍 \u202eRTL\u202c zero\u200bwidth"


class World:
    """One server being filled.

    Attributes:
        client: MLflow's own client of the version this Python has.
        version: The server's version as (major, minor).
        small: Leave out what is only large.
        served: The server carries artifacts (``mlflow-artifacts:``); otherwise they are on local disk.
        experiments: Word -> experiment id.
        runs: Word -> run id.
        models: Word -> logged model id.
        traces: Word -> trace id.
        counts: Kind -> number made.
    """

    def __init__(self, uri: str, *, small: bool) -> None:
        self.uri = uri
        self.small = small
        self.client = MlflowClient(uri)
        with urllib.request.urlopen(f"{uri}/version") as answer:
            major, minor = answer.read().decode().split(".")[:2]
        self.version = (int(major), int(minor))
        root = self.client.get_experiment("0").artifact_location
        self.served = root.startswith("mlflow-artifacts:")
        self.artifact_root = root[: root.rindex("/")]
        self.experiments: dict[str, str] = {}
        self.runs: dict[str, str] = {}
        self.models: dict[str, str] = {}
        self.traces: dict[str, str] = {}
        self.counts: Counter[str] = Counter()

    def rest(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send one request below ``/api`` (``2.0/mlflow/...``) and return the answer."""
        return json.loads(self._send(method, f"/api/{path}", None if body is None else json.dumps(body).encode()))

    def put(self, root: str, files: dict[str, bytes]) -> None:
        """Put files below an artifact root as they are named, which not every version's client can do."""
        for name, data in files.items():
            if root.startswith("mlflow-artifacts:"):
                path = f"{root[len('mlflow-artifacts:') :].lstrip('/')}/{name}"
                self._send("PUT", "/api/2.0/mlflow-artifacts/artifacts/" + urllib.parse.quote(path), data)
            else:
                local = Path(urllib.parse.unquote(urllib.parse.urlparse(root).path) if "://" in root else root) / name
                local.parent.mkdir(parents=True, exist_ok=True)
                local.write_bytes(data)
        self.counts["artifact"] += len(files)

    def _send(self, method: str, path: str, data: bytes | None) -> bytes:
        kind = "application/octet-stream" if "/mlflow-artifacts/" in path else "application/json"
        request = urllib.request.Request(self.uri + path, data=data, method=method, headers={"Content-Type": kind})
        try:
            with urllib.request.urlopen(request, timeout=120) as answer:
                return bytes(answer.read()) or b"{}"
        except urllib.error.HTTPError as error:
            said = error.read().decode(errors="replace")[:1000]
            raise RuntimeError(f"{method} {path}: HTTP {error.code}: {said}") from error
