"""Rows of MLflow's tables, made from the objects of an archive whose source was only an API.

So a restore into an empty database keeps ids, times, version numbers and life-cycles. `rows` has `MadeRows`; one
module for each kind. Neither MLflow nor SQLAlchemy is imported here: what MLflow's store would have written for an
object is known for one revision of the schema.
"""
