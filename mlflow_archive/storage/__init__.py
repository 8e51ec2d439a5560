"""Bytes under keys: the store contract, and stores over fsspec. Knows nothing of MLflow."""
