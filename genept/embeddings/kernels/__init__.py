"""Compiled kernels of the weighted sum, and the weights that go in."""
