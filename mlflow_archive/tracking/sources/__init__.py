"""Reading MLflow objects: one module for each kind."""
