"""What exists: one file per Dagster group; the graph reads like a contents page.

An asset calls the library and returns the table it made. How it is run, stored
and checked is decided in `orchestration`.
"""
