"""What a server of MLflow would answer, found by SQL: one module for each family of endpoints, each with `ROUTES`."""
