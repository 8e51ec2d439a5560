"""A share of an archive's files, chosen by their paths: the same ones every time."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from mlflow_archive.errors import UsageError


@dataclass(frozen=True, slots=True)
class Sampling:
    """Which parts and blobs have their bytes read.

    Attributes:
        share: More than 0, at most 1.
        seed: Another seed is another choice.
    """

    share: float
    seed: str = ""

    def __post_init__(self) -> None:
        """Refuse what is no share.

        Raises:
            UsageError: The share is not more than 0 and at most 1.
        """
        if not 0 < self.share <= 1:
            raise UsageError(f"A sample is more than 0 and at most 1 (100%), and not {self.share!r}.")

    def takes(self, path: str) -> bool:
        """Tell whether the file is one of the sample."""
        digest = hashlib.sha256(f"{self.seed}\n{path}".encode("utf-8", "surrogatepass")).digest()
        return int.from_bytes(digest[:8], "big") < self.share * 2**64
