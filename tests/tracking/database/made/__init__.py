"""Rows made from objects, compared with what MLflow's own store wrote for them."""
