"""Tasks on genes, pairs, cells and programs, and what takes part in them."""
