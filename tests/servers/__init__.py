"""Real MLflow servers for tests: started in seconds, stopped for sure."""

from tests.servers.database import EmptyDatabases
from tests.servers.server import WEBHOOK_KEY, MlflowServer, ServerFailedError

__all__ = ["WEBHOOK_KEY", "EmptyDatabases", "MlflowServer", "ServerFailedError"]
