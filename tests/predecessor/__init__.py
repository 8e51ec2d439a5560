"""Archives made by mlflow-export-import, read and restored."""
