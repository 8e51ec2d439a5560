"""An S3 service for tests, a store on it, and a client of it that knows nothing of the package."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import botocore.session
from botocore.config import Config

from mlflow_archive.storage.opening import open_store
from mlflow_archive.storage.s3_store import S3Store

_NUMBERS = itertools.count(1)


@dataclass
class S3Service:
    """Where a service is, and how to get in."""

    name: str
    endpoint: str
    key: str
    secret: str
    _file_system: Any = None

    @property
    def storage_options(self) -> dict[str, object]:
        """What a user gives to reach it."""
        return {
            "key": self.key,
            "secret": self.secret,
            "endpoint_url": self.endpoint,
            "client_kwargs": {"region_name": "eu-central-1"},
        }

    @cached_property
    def client(self) -> Any:
        """botocore's own client."""
        return botocore.session.Session().create_client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.key,
            aws_secret_access_key=self.secret,
            region_name="eu-central-1",
            # rclone mixes up the checksums of objects that several write at once, though not their bytes.
            config=Config(s3={"addressing_style": "path"}, response_checksum_validation="when_required"),
        )

    def store(self, bucket: str) -> S3Store:
        """Open the package's store ``s3://bucket/root``.

        All have the connections of the first: it takes a second to load what botocore knows.
        """
        if self._file_system is None:
            store = open_store(f"s3://{bucket}/root", storage_options=self.storage_options)
            assert isinstance(store, S3Store)
            self._file_system = store._bucket._fs
        return S3Store(self._file_system, f"{bucket}/root", f"s3://{bucket}/root")

    def new_bucket(self) -> str:
        """Make an empty bucket and return its name."""
        name = f"bucket-{next(_NUMBERS)}"
        self.client.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": "eu-central-1"})
        return name

    def get(self, bucket: str, key: str) -> bytes | None:
        """Return an object, None if there is none."""
        try:
            return bytes(self.client.get_object(Bucket=bucket, Key=key)["Body"].read())
        except self.client.exceptions.NoSuchKey:
            return None

    def put(self, bucket: str, key: str, data: bytes) -> None:
        """Write an object."""
        self.client.put_object(Bucket=bucket, Key=key, Body=data)

    def keys(self, bucket: str) -> set[str]:
        """Return all keys of a bucket."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=bucket)
        return {found["Key"] for page in pages for found in page.get("Contents", ())}

    def uploads(self, bucket: str) -> list[str]:
        """Return the keys of uploads that were neither completed nor aborted."""
        try:
            answer = self.client.list_multipart_uploads(Bucket=bucket)
        except self.client.exceptions.NoSuchUpload:  # what rclone says of a bucket that never had one
            return []
        return [found["Key"] for found in answer.get("Uploads", ())]
