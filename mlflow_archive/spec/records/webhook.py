"""The webhook record. Source: ``2.0 webhooks`` (MLflow 3.3 and later). The secret is never readable."""

from __future__ import annotations

from mlflow_archive.spec.records.base import Payload, Record


class WebhookRecord(Record):
    """A webhook, all but its secret."""

    webhook_id: str
    name: str
    url: str
    description: str | None = None
    events: tuple[Payload, ...] = ()
    """``{entity, action}`` each."""
    status: str | None = None
    """``ACTIVE`` or ``DISABLED``."""
    creation_timestamp: int | None = None
    last_updated_timestamp: int | None = None

    @property
    def title(self) -> str:
        """The name."""
        return self.name

    @property
    def time_ms(self) -> int | None:
        """Creation."""
        return self.creation_timestamp

    @property
    def state(self) -> str | None:
        """The status."""
        return self.status
