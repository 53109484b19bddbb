"""Settings, errors, private files, processes and display, used by every package.

Nothing here depends on genes, tables or the object store.
"""
