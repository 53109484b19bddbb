"""Text embedders, the spaces they make with recipes, and the cache of their vectors."""
