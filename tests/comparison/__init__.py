"""Compares two servers object by object, seen only through MLflow's own client."""

from tests.comparison.compare import Difference, compare_servers, describe
from tests.comparison.limits import API_LIMITS

__all__ = ["API_LIMITS", "Difference", "compare_servers", "describe"]
