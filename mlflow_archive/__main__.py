"""``python -m mlflow_archive``: the same as the ``mlflow-archive`` command."""

from __future__ import annotations

from mlflow_archive.cli.main import main

if __name__ == "__main__":
    main()
