"""Real MLflow servers for tests: started in seconds, stopped for sure."""

from tests.servers.database import EmptyDatabases, with_driver
from tests.servers.quick import QuickServers
from tests.servers.server import SERVER_PYTHON, WEBHOOK_KEY, MlflowServer, ServerFailedError

__all__ = [
    "SERVER_PYTHON",
    "WEBHOOK_KEY",
    "EmptyDatabases",
    "MlflowServer",
    "QuickServers",
    "ServerFailedError",
    "with_driver",
]
