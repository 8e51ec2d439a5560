"""Real MLflow servers for tests: started in seconds, stopped for sure."""

from tests.servers.database import EmptyDatabases
from tests.servers.server import MlflowServer, ServerFailedError

__all__ = ["EmptyDatabases", "MlflowServer", "ServerFailedError"]
