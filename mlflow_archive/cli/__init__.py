"""The command line: click in, text or JSON out.

Commands are thin: options -> one call of `mlflow_archive.api` -> an `Output`. Standard output carries data, standard
error carries talk. Nothing heavy (MLflow, fsspec, pydantic, rich) is imported before a command runs.
"""
