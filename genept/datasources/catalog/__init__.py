"""The catalogue: which sources are used, and which collections are made of them."""
