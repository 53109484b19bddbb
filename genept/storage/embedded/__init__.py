"""The embedded object store: a local SeaweedFS server with its data in one folder.

Access to buckets is in `genept.storage`.
"""
