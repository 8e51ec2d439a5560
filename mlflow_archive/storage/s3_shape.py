"""What botocore makes of all settings of an S3 store, read off a request of its own that succeeded.

Profiles, environment, endpoint rules, addressing style, redirects to the region of a bucket and signatures are
botocore's business and are not worked out a second time: the URL and the headers of a request say what came of them.
A request that shows anything not listed here (encryption, another payer, a signature of another kind ...) has
no shape, and neither has one of a client whose connections are anything but ordinary.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlsplit
from urllib.request import getproxies

#: Options of s3fs that say who asks where, and those that have nothing to do with requests; each with the settings
#: inside it that are as harmless, None where it has none inside.
_OPTIONS: Mapping[str, frozenset[str] | None] = {
    **dict.fromkeys(("key", "secret", "token", "username", "password", "profile", "endpoint_url", "use_ssl")),
    **dict.fromkeys(("cache_regions", "use_listings_cache", "skip_instance_cache", "max_concurrency")),
    **dict.fromkeys(("default_block_size", "default_fill_cache", "default_cache_type")),
    "client_kwargs": frozenset(
        {
            *("region_name", "endpoint_url", "use_ssl"),
            *("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
        }
    ),
    "config_kwargs": frozenset(
        {
            *("connect_timeout", "read_timeout", "max_pool_connections", "retries", "region_name", "s3"),
            *("request_checksum_calculation", "response_checksum_validation"),
        }
    ),
}
#: Headers of an ordinary request. Those of a checksum are there by default; S3 forgets none of the others.
_HEADERS = frozenset(
    {
        *("authorization", "x-amz-date", "x-amz-content-sha256", "x-amz-security-token"),
        *("user-agent", "amz-sdk-invocation-id", "amz-sdk-request", "expect", "accept-encoding", "range", "if-match"),
        *("content-length", "content-encoding", "transfer-encoding", "x-amz-decoded-content-length", "x-amz-trailer"),
        *("content-md5", "x-amz-sdk-checksum-algorithm", "x-amz-checksum-crc32", "x-amz-checksum-mode"),
    }
)
_SIGNED = re.compile(r"AWS4-HMAC-SHA256 Credential=([^/]+)/\d{8}/([a-z0-9-]+)/s3/aws4_request,")
#: Variables of which botocore has made what is in the shape; obstore would read some others that botocore ignores.
_VARIABLES = frozenset(
    {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_SECURITY_TOKEN"),
        *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
        *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_MAX_ATTEMPTS"),
        *("AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_RETRY_MODE"),
        *("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"),
        *("AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"),
        *("AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT", "AWS_EXECUTION_ENV", "AWS_PAGER"),
        *("AWS_CA_BUNDLE", "AWS_STS_REGIONAL_ENDPOINTS", "AWS_DEFAULT_OUTPUT", "AWS_SDK_LOAD_CONFIG"),
    }
)
_SENT: ContextVar[list[Any] | None] = ContextVar("_SENT", default=None)


@dataclass(frozen=True, slots=True)
class Shape:
    """How requests to a bucket look."""

    #: Where the bucket is, its name included, be it in the host or in the path.
    base_url: str
    region: str
    #: Whose signature it was.
    access_key: str
    #: Whether an upload carries a checksum of its own.
    checksums: bool
    #: Seconds.
    connect_timeout: float
    read_timeout: float
    connections: int


def plain_options(options: Mapping[str, Any]) -> bool:
    """Tell whether an s3fs with these options sends ordinary requests, as far as options say."""
    for name, value in options.items():
        if name not in _OPTIONS:
            return False
        inner = _OPTIONS[name]
        if inner is not None and value is not None and not (isinstance(value, Mapping) and inner.issuperset(value)):
            return False
    style = (options.get("config_kwargs") or {}).get("s3") or {}
    return isinstance(style, Mapping) and set(style) <= {"addressing_style"}


def plain_environment(scheme: str) -> bool:
    """Tell whether nothing in the environment would make requests of another client differ."""
    names = {name.upper() for name in os.environ}
    own = {name for name in names if name.startswith("AWS_")} <= _VARIABLES
    trust = scheme == "http" or not names & {"SSL_CERT_FILE", "SSL_CERT_DIR"}
    return own and trust and not {"http", "https", "all"} & set(getproxies())


@contextmanager
def sent_requests() -> Iterator[list[Any]]:
    """Give a list of the requests that a client sends for the caller, if `watch` was called for it."""
    seen: list[Any] = []
    token = _SENT.set(seen)
    try:
        yield seen
    finally:
        _SENT.reset(token)


def watch(client: Any) -> None:
    """Let `sent_requests` see what a client of botocore sends; harmless if it does already."""
    client.meta.events.register("before-send.s3", _note, unique_id="mlflow-archive")


def _note(request: Any, **_: Any) -> None:
    seen = _SENT.get()
    if seen is not None:
        seen.append(request)


def shape_of(request: Any, client: Any, key: str) -> Shape | None:
    """Return the shape of a request for an object that was answered; None if it is out of the ordinary."""
    url = urlsplit(request.url)
    place = f"/{quote(key, safe='/~')}"
    headers = {name.lower(): _text(value) for name, value in request.headers.items()}
    signed = _SIGNED.match(headers.get("authorization", ""))
    if signed is None or url.query or not url.path.endswith(place) or not _HEADERS.issuperset(headers):
        return None
    config, session = client.meta.config, client._endpoint.http_session
    limits = (config.connect_timeout, config.read_timeout)
    trust = url.scheme == "http" or session._verify is True
    if not trust or session._cert_file or session._proxy_config.proxy_url_for(request.url):
        return None
    if not all(isinstance(limit, int | float) and limit > 0 for limit in limits):
        return None
    return Shape(
        base_url=f"{url.scheme}://{url.netloc}{url.path[: -len(place)]}",
        region=signed[2],
        access_key=signed[1],
        checksums=config.request_checksum_calculation == "when_supported",
        connect_timeout=limits[0],
        read_timeout=limits[1],
        connections=config.max_pool_connections,
    )


def _text(value: object) -> str:
    return value.decode("ascii", "replace") if isinstance(value, bytes) else str(value)
