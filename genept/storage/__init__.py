"""The object store: conditional writes, verified reads, parquet, releases, the embedded server."""
