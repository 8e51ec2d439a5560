"""A file store (a folder ``mlruns``) as a source.

MLflow's own migration brings it into a temporary SQLite file, in a child process, and the file is read by SQL. Nothing
in the folder is changed. What cannot be read there is lost by its id, and nothing else with it.
"""
