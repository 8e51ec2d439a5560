"""From an artifact URI to the way that leads there."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from itertools import dropwhile
from pathlib import Path
from urllib.parse import unquote, urlsplit

from mlflow_archive.errors import UsageError
from mlflow_archive.spec.kinds import Kind
from mlflow_archive.tracking.artifact_contract import ArtifactOwner
from mlflow_archive.tracking.client import ServerClient

_SCHEME = re.compile(r"^([A-Za-z][A-Za-z0-9+.-]+):")
_PROXY_ANCHOR = "/api/2.0/mlflow-artifacts/artifacts/"
#: Addresses that mean something to the server alone.
_SERVER_ONLY = ("models", "runs", "dbfs", "databricks", "databricks-uc", "uc")
#: How deep below a root of experiments the files of an object are.
_DEPTHS = {Kind.RUN: 3, Kind.LOGGED_MODEL: 4, Kind.TRACE: 4}
_EVERYWHERE = frozenset({"home", "mnt", "opt", "root", "srv", "tmp", "usr", "var"})


class Way(Enum):
    """How files are reached."""

    LOCAL = "local"
    """A folder of this machine."""
    SHARED = "shared"
    """A folder that the server and this machine seem to share."""
    STORE = "store"
    """An object store, straight."""
    PROXY = "proxy"
    """The server's artifact proxy."""
    SERVER = "server"
    """The server's reading by run or model id."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where files are: ``path`` is the local path, the key in the store ``root``, or the path at the proxy."""

    way: Way
    path: str = ""
    root: str = ""
    mapped: bool = False


class Routes:
    """Knows the operator's mappings and what the client can reach."""

    def __init__(self, client: ServerClient, roots: Mapping[str, str]) -> None:
        """Check the mappings; those of the operator win over the client's."""
        for prefix, target in roots.items():
            if not prefix or not target:
                raise UsageError(
                    f"The artifact root {prefix}={target} lacks a side: write mlflow-artifacts:/=s3://bucket/root."
                )
        given = {_normal(prefix): _absolute(target) for prefix, target in roots.items()}
        self._roots = {**{_normal(prefix): target for prefix, target in client.artifact_roots.items()}, **given}
        self._client = client

    def to(self, owner: ArtifactOwner, *, writing: bool) -> Place:
        """Return the way to an owner's files.

        Raises:
            UsageError: No way leads there, and what to give to make one; or the address leads out of its folder.
        """
        uri = _normal(owner.uri)
        if writing and _climbs(uri) and self._mapped(uri, owner.workspace) is None:
            raise _leads_out(uri)
        place = self._direct(uri, owner.workspace)
        if place is not None:
            return place
        path = local_path(uri)
        if path is None:
            return Place(Way.SERVER)
        # The server's own disk. Where it is this machine's too, that is quicker than the server and takes any name.
        # A trace's folder is there only if something was written to it, and no server hands out what is in it.
        absent = writing or owner.kind is Kind.TRACE
        return Place(Way.SHARED, path) if _seems_shared(path, may_be_absent=absent) else Place(Way.SERVER)

    def require_here(self, place: Place, owner: ArtifactOwner) -> None:
        """Raise unless the local folder of an owner, or one that it would be made in, is on this machine.

        An owner without files has no folder, and an experiment without any has none either; but what they would be in
        is there. Without it nobody can say that there are no files.

        Raises:
            UsageError: It is elsewhere, and what to give.
        """
        path, uri = Path(place.path), owner.uri.rstrip("/")
        if any(path.is_relative_to(known) for known in self._client.artifact_roots.values()):
            return
        # <root>/<experiment>/<run>/artifacts, <root>/<experiment>/models/<model>/artifacts, and so for traces.
        deep = _DEPTHS.get(owner.kind, 0) if uri.endswith("/artifacts") else 0
        if path.is_absolute() and any(map(_tells, (path, *[*path.parents][: deep or 1]))):
            return
        root = root_of(owner)
        if not path.is_absolute():
            reason = f"The address {root} begins where the server was started, which nothing here tells"
        elif place.mapped:
            reason = f"The folder that is given for {root} is not there, nor what it would be in"
        else:
            reason = f"The folder {root} is not on this machine"
        raise UsageError(f"{reason}: give --artifact-root {root}=<folder or URL>.", code="artifact_root")

    def to_root(self, uri: str, workspace: str | None) -> Place | None:
        """Return the way to an experiment's root, None if there is only the server's own."""
        try:
            return self._direct(_normal(uri), workspace)
        except UsageError:
            return None  # the listing of each owner says what is wrong

    def _direct(self, uri: str, workspace: str | None) -> Place | None:
        mapped = self._mapped(uri, workspace)
        if mapped is not None:
            return mapped
        proxied = _proxy_path(uri)
        if proxied is not None:
            if self._client.local:
                raise UsageError(
                    "Nothing here says where the files of mlflow-artifacts:/ are: give --artifact-root "
                    "mlflow-artifacts:/=<folder or URL>, the --artifacts-destination of the server that wrote them.",
                    code="artifact_root",
                )
            return Place(Way.PROXY, proxied)
        path = local_path(uri)
        if path is not None:
            return Place(Way.LOCAL, path) if self._client.local else None
        scheme = urlsplit(uri).scheme.lower()
        if scheme in _SERVER_ONLY:
            return None
        return _in_store(uri, mapped=False)

    def _mapped(self, uri: str, workspace: str | None) -> Place | None:
        fitting = [prefix for prefix in self._roots if _begins(uri, prefix)]
        if not fitting:
            return None
        prefix = max(fitting, key=len)
        rest = uri[len(prefix) :].strip("/")
        if ".." in rest.split("/"):
            raise _leads_out(uri)
        if prefix == "mlflow-artifacts:/" and workspace not in (None, "default") and not rest.startswith("workspaces/"):
            rest = f"workspaces/{workspace}/{rest}"
        target = self._roots[prefix]
        folder = local_path(target)
        if folder is not None:
            return Place(Way.LOCAL, str(Path(folder, rest)), mapped=True)
        return _in_store(f"{target.rstrip('/')}/{rest}", mapped=True)


def root_of(owner: ArtifactOwner) -> str:
    """Return the address below which the objects of all experiments are, as far as an object's own one tells it.

    That is ``<root>`` of ``<root>/<experiment>/<run>/artifacts``, otherwise the whole address.
    """
    uri = owner.uri.rstrip("/")
    deep = _DEPTHS.get(owner.kind, 0) if uri.endswith("/artifacts") else 0
    parts = uri.rsplit("/", deep)
    return parts[0] if len(parts) > deep and parts[0] else uri


def local_path(uri: str) -> str | None:
    """Return the path that a URI means on the machine where it was written, None if it means none."""
    match = _SCHEME.match(uri)
    if match is None:
        return uri
    return unquote(urlsplit(uri).path) if match[1].lower() == "file" else None


def _climbs(uri: str) -> bool:
    """Tell whether an address goes up again behind its beginning, so that its beginning does not say where it leads."""
    parts = [part for part in unquote(uri).split("/") if part not in ("", ".")]
    return ".." in dropwhile("..".__eq__, parts)


def _leads_out(uri: str) -> UsageError:
    return UsageError(
        f"The address {uri[:200]} leads out of the folder in which it begins, by its '..': say where it is by "
        "--artifact-root for all of it.",
        code="artifact_root",
    )


def _tells(folder: Path) -> bool:
    """Tell whether a folder is there, and not one that every machine has."""
    return len(folder.parts) > 1 and folder.is_dir() and not (len(folder.parts) == 2 and folder.name in _EVERYWHERE)


def _normal(uri: str) -> str:
    """Return an address of the proxy in its shortest form; the host in it is only ever the server's own.

    Raises:
        UsageError: It is no address.
    """
    try:
        parts = urlsplit(uri)
    except ValueError as error:
        raise UsageError(f"The artifact root {uri[:200]!r} is no address.", code="artifact_root") from error
    return f"mlflow-artifacts:/{parts.path.lstrip('/')}" if uri.startswith("mlflow-artifacts:") else uri


def _absolute(target: str) -> str:
    """Return where an address that somebody gave leads: a path begins in the current folder."""
    return str(Path(target).absolute()) if _SCHEME.match(target) is None else target


def _begins(uri: str, prefix: str) -> bool:
    return uri.startswith(prefix) and (prefix.endswith("/") or uri[len(prefix) : len(prefix) + 1] in ("", "/"))


def _proxy_path(uri: str) -> str | None:
    if uri.startswith("mlflow-artifacts:"):
        return uri.removeprefix("mlflow-artifacts:/").strip("/")
    if uri.startswith(("http://", "https://")) and _PROXY_ANCHOR in uri:
        return uri.partition(_PROXY_ANCHOR)[2].strip("/")
    return None


def _in_store(uri: str, *, mapped: bool) -> Place:
    """Split at the bucket, so that one connection serves all of it."""
    scheme, _, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    return Place(Way.STORE, key.strip("/"), f"{scheme}://{bucket}", mapped)


def _seems_shared(path: str, *, may_be_absent: bool) -> bool:
    """Tell whether a path of the server's machine is one of ours too, as far as one can see from here."""
    here = Path(path)
    if not here.is_absolute():
        return False
    # <root>/<experiment>/<run>/artifacts and <root>/<experiment>/traces/<trace>/artifacts: the folders of a new run
    # are yet to be made. Folders right below / are on every machine and tell nothing.
    return here.is_dir() or (
        may_be_absent and any(parent.is_dir() for parent in list(here.parents)[:4] if len(parent.parts) > 2)
    )
