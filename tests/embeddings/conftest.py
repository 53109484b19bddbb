"""The weighted sum is compiled before any test of it is timed."""

import genept.embeddings.weighted_sum_loops  # noqa: F401
