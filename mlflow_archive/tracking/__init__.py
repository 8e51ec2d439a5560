"""The only door to MLflow: client, sources and sinks."""
