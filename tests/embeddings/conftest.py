"""The weighted sum is compiled before any test of it is timed."""

import genept.embeddings.kernels.panels  # noqa: F401
