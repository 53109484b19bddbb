"""What must be true of every table before it is published.

Suites are made from `genept.schema.tables`; Great Expectations runs them on narrow
columns, numpy on matrices. How checks block a run is `orchestration`'s business.
"""
