"""Backup, restore and migration for MLflow."""

from __future__ import annotations

__version__ = "0.1.0"
