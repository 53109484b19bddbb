"""What every package may use: settings, errors, files, processes, and what people see.

Nothing here knows a gene, a table or a store.
"""
