"""Storage: the S3 client with conditional writes, parquet files, the lake, the embedded server.

What a release is belongs to `genept.release`; which tables exist, to `genept.schema`.
"""
