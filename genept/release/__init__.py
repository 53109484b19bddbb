"""Releases: staged, audited, sealed, approved, made current; compared, rolled back, collected.

What the lake and the object store are belongs to `genept.storage`.
"""
