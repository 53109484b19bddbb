"""The weighted sum is compiled before any test of it is timed."""

import genept.embeddings.panels  # noqa: F401
