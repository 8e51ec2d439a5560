"""Compares two servers object by object, seen only through MLflow's own client."""

from tests.comparison.compare import Difference, compare_servers, describe
from tests.comparison.limits import API_LIMITS, NOT_RESTORED

__all__ = ["API_LIMITS", "NOT_RESTORED", "Difference", "compare_servers", "describe"]
