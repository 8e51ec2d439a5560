"""Exact restore: an archive's rows into an empty database, so that ids, times and everything unknown to us stay.

`sink.ExactSink` is the end of the transfer. In the order in which they work: `target` (what is there), `schema`
(MLflow's own migrations), `fitness` (will every value fit), `loading` (rows), `sequences`, `checking` (is everything
there), `roots` and `quiet` (what is meant to differ), and the upgrade to the installed MLflow. `state` says all the
while how far it has come, to us and to every MLflow that might start on the database.
"""
